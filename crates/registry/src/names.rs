//! Names for runs and logged models that nobody named.

use mainspring_core::IdGen;

const FIRST: [&str; 48] = [
    "able", "amber", "brave", "bright", "brisk", "calm", "clear", "clever", "crisp", "eager", "early", "even", "fair",
    "fast", "fine", "firm", "fresh", "glad", "gold", "grand", "green", "happy", "keen", "kind", "light", "lively",
    "loyal", "lucky", "mild", "neat", "noble", "open", "plain", "proud", "quick", "quiet", "rapid", "ready", "round",
    "sharp", "silent", "smooth", "solid", "steady", "strong", "swift", "warm", "wise",
];
const SECOND: [&str; 48] = [
    "anchor", "badger", "beacon", "birch", "bison", "brook", "canyon", "cedar", "cobra", "comet", "coral", "crane",
    "delta", "dove", "eagle", "ember", "falcon", "fern", "finch", "fjord", "fox", "glade", "hare", "harbor", "heron",
    "hawk", "island", "jay", "kite", "lark", "lynx", "maple", "marten", "meadow", "moss", "otter", "owl", "pine",
    "quail", "raven", "reef", "river", "robin", "salmon", "sparrow", "summit", "tiger", "willow",
];

/// Two words and a number, e.g. `calm-otter-417`.
pub fn random_name(ids: &dyn IdGen) -> String {
    let r = ids.random();
    let pick = |words: &[&'static str; 48], bits: u64| words[(bits % 48) as usize];
    format!("{}-{}-{}", pick(&FIRST, r), pick(&SECOND, r >> 16), (r >> 32) % 1000)
}
