use super::*;

#[test]
fn the_line_at_fault_is_shown_around_its_place() {
    let long = format!("select {}x", "a, ".repeat(100));
    let shown = snippet(&long, Place { line: 1, column: 308 }).unwrap();
    let (line, caret) = shown.split_once('\n').unwrap();
    assert_eq!(line.chars().nth(caret.chars().count() - 1), Some('x'), "{shown}");
    assert!(line.chars().count() <= SHOWN + 2);
    assert_eq!(snippet("a\n\tö b", Place { line: 2, column: 4 }).unwrap(), "   ö b\n     ^");
    assert_eq!(snippet("a", Place { line: 1, column: 9 }).unwrap(), "  a\n   ^");
    assert_eq!(snippet("a", Place { line: 2, column: 1 }), None);
}
