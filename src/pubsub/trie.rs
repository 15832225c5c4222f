//! A tree of names or patterns, level by level, so that what matches is found without a look at what does not.
//!
//! The same tree serves both questions: which patterns match a name, when a topic comes to exist, and which names match a
//! pattern, when one is subscribed to. A look at a name takes at most two ways a level: the level itself and `+`.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use super::pattern::{ANY_LEVEL, ANY_LEVELS, Pattern, SEPARATOR};

/// Values by name or pattern.
#[derive(Debug)]
pub(super) struct Trie<V> {
    root: Node<V>,
}

#[derive(Debug)]
struct Node<V> {
    /// `None` if there is nothing: most nodes are leaves. The wildcards are levels like others here.
    below: Option<Box<Levels<V>>>,
    value: Option<V>,
}

type Levels<V> = BTreeMap<Box<str>, Node<V>>;

impl<V> Node<V> {
    fn below(&self, level: &str) -> Option<&Self> {
        self.below.as_ref()?.get(level)
    }

    fn below_mut(&mut self, level: &str) -> Option<&mut Self> {
        self.below.as_mut()?.get_mut(level)
    }

    fn all_below(&self) -> impl Iterator<Item = &Self> {
        self.below.iter().flat_map(|levels| levels.values())
    }
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self { below: None, value: None }
    }
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<V> Trie<V> {
    /// The place for the value of a key.
    pub(super) fn entry(&mut self, key: &str) -> &mut Option<V> {
        let mut node = &mut self.root;
        for level in key.split(SEPARATOR) {
            let levels = node.below.get_or_insert_default();
            if !levels.contains_key(level) {
                levels.insert(level.to_owned().into_boxed_str(), Node::default());
            }
            // It is there now; the root stands for what cannot be.
            let Some(next) = levels.get_mut(level) else { unreachable!("a level that was just made") };
            node = next;
        }
        &mut node.value
    }

    /// The value of a key.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        let mut node = &mut self.root;
        for level in key.split(SEPARATOR) {
            node = node.below_mut(level)?;
        }
        node.value.as_mut()
    }

    /// Takes the value of a key out, and the levels that led to it alone.
    pub(super) fn remove(&mut self, key: &str) -> Option<V> {
        remove(&mut self.root, Some(key))
    }

    /// Calls `f` with the value of each pattern that matches a name.
    pub(super) fn for_each_that_matches<'t>(&'t self, name: &str, f: &mut impl FnMut(&'t V)) {
        find_patterns(&self.root, Some(name), f);
    }

    /// Calls `f` with the value of each name that a pattern matches.
    pub(super) fn for_each_matched<'t>(&'t self, pattern: &Pattern, f: &mut impl FnMut(&'t V)) {
        find_names(&self.root, Some(pattern.as_str()), f);
    }

    /// Calls `f` with every value.
    pub(super) fn for_each<'t>(&'t self, f: &mut impl FnMut(&'t V)) {
        all(&self.root, f);
    }
}

/// The first level and what follows it.
fn split(path: &str) -> (&str, Option<&str>) {
    path.split_once(SEPARATOR).map_or((path, None), |(level, rest)| (level, Some(rest)))
}

fn remove<V>(node: &mut Node<V>, path: Option<&str>) -> Option<V> {
    let Some(path) = path else { return node.value.take() };
    let (level, rest) = split(path);
    let levels = node.below.as_mut()?;
    let below = levels.get_mut(level)?;
    let removed = remove(below, rest);
    if below.value.is_none() && below.below.is_none() {
        levels.remove(level);
    }
    if levels.is_empty() {
        node.below = None;
    }
    removed
}

fn find_patterns<'t, V>(node: &'t Node<V>, name: Option<&str>, f: &mut impl FnMut(&'t V)) {
    if let Some(value) = node.below(ANY_LEVELS).and_then(|node| node.value.as_ref()) {
        f(value);
    }
    let Some(name) = name else {
        node.value.iter().for_each(f);
        return;
    };
    let (level, rest) = split(name);
    for level in [level, ANY_LEVEL] {
        if let Some(below) = node.below(level) {
            find_patterns(below, rest, f);
        }
    }
}

fn find_names<'t, V>(node: &'t Node<V>, pattern: Option<&str>, f: &mut impl FnMut(&'t V)) {
    let Some(pattern) = pattern else {
        node.value.iter().for_each(f);
        return;
    };
    match split(pattern) {
        (ANY_LEVELS, _) => all(node, f),
        (ANY_LEVEL, rest) => node.all_below().for_each(|below| find_names(below, rest, f)),
        (level, rest) => node.below(level).into_iter().for_each(|below| find_names(below, rest, f)),
    }
}

fn all<'t, V>(node: &'t Node<V>, f: &mut impl FnMut(&'t V)) {
    node.value.iter().for_each(&mut *f);
    node.all_below().for_each(|below| all(below, f));
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Few levels of few words, so that they meet.
    fn names() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[abc]?(/[abc]?){0,3}", 0..20)
    }

    fn patterns() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("([abc]|\\+)(/([abc]?|\\+)){0,3}(/#)?|#", 0..20)
    }

    fn trie(keys: &BTreeSet<String>) -> Trie<&String> {
        let mut trie = Trie::default();
        keys.iter().for_each(|key| *trie.entry(key) = Some(key));
        trie
    }

    proptest! {
        #[test]
        fn what_matches_is_what_a_look_at_all_finds(names in names(), patterns in patterns()) {
            let names: BTreeSet<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
            let patterns: BTreeSet<String> = patterns.into_iter().collect();
            let (of_names, of_patterns) = (trie(&names), trie(&patterns));
            for name in &names {
                let mut found = Vec::new();
                of_patterns.for_each_that_matches(name, &mut |pattern| found.push(*pattern));
                found.sort();
                let expected = patterns.iter().filter(|pattern| Pattern::new(pattern).unwrap().matches(name));
                prop_assert_eq!(found, expected.collect::<Vec<_>>(), "{}", name);
            }
            for pattern in &patterns {
                let parsed = Pattern::new(pattern).unwrap();
                let mut found = Vec::new();
                of_names.for_each_matched(&parsed, &mut |name| found.push(*name));
                found.sort();
                prop_assert_eq!(found, names.iter().filter(|name| parsed.matches(name)).collect::<Vec<_>>(), "{}", pattern);
            }
        }

        #[test]
        fn what_is_removed_leaves_nothing(keys in patterns()) {
            let keys: BTreeSet<String> = keys.into_iter().collect();
            let mut trie = trie(&keys);
            for key in &keys {
                prop_assert_eq!(trie.remove(key), Some(key));
                prop_assert_eq!(trie.remove(key), None);
                prop_assert!(trie.get_mut(key).is_none());
            }
            prop_assert!(trie.root.below.is_none());
        }
    }
}
