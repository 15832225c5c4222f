//! Lists that have little room to spare, because there are very many of them and most hold one thing.

use alloc::vec::Vec;

/// Adds a value; where there is no room, the list gets longer by a quarter, and the first one is alone.
pub(super) fn push<T>(list: &mut Vec<T>, value: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(more(list.len()));
    }
    list.push(value);
}

/// For how many values more there is to be room, where so many are.
pub(super) fn more(len: usize) -> usize {
    (len / 4).max(1)
}
