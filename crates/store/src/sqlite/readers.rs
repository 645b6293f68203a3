//! Which thread reads next: the one that became idle last, whose pages and statements are warm.

use super::Message;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// What waits for a reader, or the readers that wait for it; one of both is always empty.
#[derive(Default)]
struct State {
    waiting: VecDeque<Message>,
    idle: Vec<Sender<Message>>,
    /// Readers that have not ended. Without any, nothing can wait.
    alive: usize,
}

/// The readers of a database. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Readers(Arc<Mutex<State>>);

impl Readers {
    /// Gives a message to the reader that became idle last, or to the first that becomes idle. When all
    /// have ended it is dropped, which its sender sees.
    pub(super) fn send(&self, message: Message) {
        let mut state = self.0.lock();
        let mut message = message;
        while let Some(reader) = state.idle.pop() {
            match reader.try_send(message) {
                Ok(()) => return,
                // Its thread has ended.
                Err(e) => message = e.into_inner(),
            }
        }
        if state.alive > 0 {
            state.waiting.push_back(message);
        }
    }

    /// A place for one more reader.
    pub(super) fn join(&self) -> Reader {
        let (sender, receiver) = bounded(1);
        self.0.lock().alive += 1;
        Reader { readers: self.clone(), sender, receiver }
    }
}

/// One reader's end.
pub(super) struct Reader {
    readers: Readers,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
}

impl Reader {
    /// The next message for this reader, which is idle until then.
    pub(super) fn next(&self) -> Message {
        {
            let mut state = self.readers.0.lock();
            if let Some(message) = state.waiting.pop_front() {
                return message;
            }
            state.idle.push(self.sender.clone());
        }
        // The other end is `self.sender`, so something comes.
        self.receiver.recv().unwrap_or(Message::Stop)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.readers.0.lock();
        state.alive -= 1;
        if state.alive == 0 {
            state.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_stop(message: &Message) -> bool {
        matches!(message, Message::Stop)
    }

    #[test]
    fn the_last_that_became_idle_is_next_and_what_finds_none_waits() {
        let readers = Readers::default();
        let (first, second) = (readers.join(), readers.join());
        readers.0.lock().idle.extend([first.sender.clone(), second.sender.clone()]);
        readers.send(Message::Stop);
        assert!(first.receiver.is_empty() && second.receiver.len() == 1, "the last one reads");
        readers.send(Message::Stop);
        readers.send(Message::Stop);
        assert_eq!((first.receiver.len(), readers.0.lock().waiting.len()), (1, 1));
        assert!(is_stop(&first.receiver.recv().unwrap()));
        assert!(is_stop(&first.next()), "what waited is taken before it is idle again");
        assert!(readers.0.lock().waiting.is_empty() && readers.0.lock().idle.is_empty());
    }

    #[test]
    fn nothing_waits_when_all_have_ended() {
        let readers = Readers::default();
        let only = readers.join();
        readers.send(Message::Stop);
        assert_eq!(readers.0.lock().waiting.len(), 1);
        drop(only);
        assert!(readers.0.lock().waiting.is_empty());
        readers.send(Message::Stop);
        assert!(readers.0.lock().waiting.is_empty());
    }
}
