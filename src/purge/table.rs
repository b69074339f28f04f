//! The table of purges by what they name.

use std::collections::{BTreeMap, HashMap};

use super::{Epoch, Mode, Names, Selector, Verdict};

/// The newest hard and soft purge of one name.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    hard: Epoch,
    soft: Epoch,
}

impl Marks {
    fn enter(&mut self, mode: Mode, epoch: Epoch) {
        match mode {
            Mode::Hard => self.hard = self.hard.max(epoch),
            Mode::Soft => self.soft = self.soft.max(epoch),
        }
    }

    fn merge(&mut self, other: Option<&Marks>) {
        if let Some(other) = other {
            self.hard = self.hard.max(other.hard);
            self.soft = self.soft.max(other.soft);
        }
    }

    fn newest(&self) -> Epoch {
        self.hard.max(self.soft)
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    /// Purges up to this one are forgotten: what began before it, and has not been checked since, counts as purged.
    forgotten: Epoch,
    all: Marks,
    any_tag: Marks,
    urls: HashMap<u128, Marks>,
    tags: HashMap<u128, Marks>,
    sites: HashMap<Box<str>, Marks>,
    prefixes: HashMap<Box<str>, Marks>,
    /// How many prefixes there are of each length, so that a look-up tries only lengths that exist.
    prefix_lengths: BTreeMap<usize, usize>,
}

impl Table {
    pub(super) fn enter(&mut self, selector: &Selector, mode: Mode, epoch: Epoch) {
        let marks = match selector {
            Selector::All => &mut self.all,
            Selector::Url(url) => self.urls.entry(*url).or_default(),
            Selector::Site(site) => self.sites.entry(site.clone()).or_default(),
            Selector::Tag(tag) => {
                self.any_tag.enter(mode, epoch);
                self.tags.entry(*tag).or_default()
            }
            Selector::Prefix(prefix) => {
                if !self.prefixes.contains_key(prefix) {
                    *self.prefix_lengths.entry(prefix.len()).or_default() += 1;
                }
                self.prefixes.entry(prefix.clone()).or_default()
            }
        };
        marks.enter(mode, epoch);
    }

    pub(super) fn verdict(&self, names: &Names<'_>, since: Epoch) -> Verdict {
        if since < self.forgotten {
            return Verdict::Hard;
        }
        let mut marks = self.all;
        marks.merge(self.urls.get(&names.url));
        marks.merge(self.sites.get(names.site));
        match names.tags {
            Some(tags) => tags.iter().for_each(|tag| marks.merge(self.tags.get(tag))),
            None => marks.merge(Some(&self.any_tag)),
        }
        for &length in self.prefix_lengths.keys() {
            // `get` also says no where the length falls inside a character: then no such prefix can match.
            if let Some(start) = names.text.get(..length) {
                marks.merge(self.prefixes.get(start));
            }
        }
        if marks.hard > since {
            Verdict::Hard
        } else if marks.soft > since {
            Verdict::Soft
        } else {
            Verdict::Untouched
        }
    }

    pub(super) fn len(&self) -> usize {
        self.urls.len() + self.tags.len() + self.sites.len() + self.prefixes.len()
    }

    /// Purges up to this one are forgotten.
    pub(super) fn forgotten(&self) -> Epoch {
        self.forgotten
    }

    /// Every purge that is remembered, in no order.
    pub(super) fn each(&self, mut purge: impl FnMut(Epoch, Selector, Mode)) {
        let mut both = |marks: &Marks, selector: Selector| {
            for (epoch, mode) in [(marks.hard, Mode::Hard), (marks.soft, Mode::Soft)] {
                if epoch > 0 {
                    purge(epoch, selector.clone(), mode);
                }
            }
        };
        both(&self.all, Selector::All);
        self.urls
            .iter()
            .for_each(|(url, marks)| both(marks, Selector::Url(*url)));
        self.tags
            .iter()
            .for_each(|(tag, marks)| both(marks, Selector::Tag(*tag)));
        self.sites
            .iter()
            .for_each(|(site, marks)| both(marks, Selector::Site(site.clone())));
        self.prefixes
            .iter()
            .for_each(|(prefix, marks)| both(marks, Selector::Prefix(prefix.clone())));
    }

    pub(super) fn forget_through(&mut self, epoch: Epoch) {
        self.forgotten = self.forgotten.max(epoch);
        self.urls.retain(|_, marks| marks.newest() > epoch);
        self.tags.retain(|_, marks| marks.newest() > epoch);
        self.sites.retain(|_, marks| marks.newest() > epoch);
        self.prefixes.retain(|_, marks| marks.newest() > epoch);
        self.prefix_lengths.clear();
        for prefix in self.prefixes.keys() {
            *self.prefix_lengths.entry(prefix.len()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mode, Names, Purges, Selector, Verdict};

    const TAGS: &[u128] = &[7, 8];
    const NAMES: Names<'static> = Names {
        url: 1,
        text: "a.example/shop/ä?q",
        site: "shop",
        tags: Some(TAGS),
    };

    #[test]
    fn each_selector_names_what_it_says() {
        let named = [
            Selector::Url(1),
            Selector::Tag(8),
            Selector::Prefix("a.example/sh".into()),
            Selector::Prefix("a.example/shop/ä?q".into()),
            Selector::Site("shop".into()),
            Selector::All,
        ];
        for selector in named {
            let purges = Purges::default();
            let before = purges.latest();
            purges.purge(&selector, Mode::Hard);
            assert_eq!(purges.verdict(&NAMES, before), Verdict::Hard, "{selector:?}");
            assert_eq!(
                purges.verdict(&NAMES, purges.latest()),
                Verdict::Untouched,
                "{selector:?} names only what began before it"
            );
        }
    }

    #[test]
    fn others_are_left_alone() {
        let purges = Purges::default();
        for selector in [
            Selector::Url(2),
            Selector::Tag(9),
            Selector::Prefix("a.example/shop/ä?q1".into()),
            Selector::Prefix("b".into()),
            Selector::Site("other".into()),
        ] {
            purges.purge(&selector, Mode::Hard);
        }
        assert_eq!(purges.verdict(&NAMES, 0), Verdict::Untouched);
        let unknown_tags = Names { tags: None, ..NAMES };
        assert_eq!(
            purges.verdict(&unknown_tags, 0),
            Verdict::Hard,
            "any tag may turn out to be carried"
        );
    }

    #[test]
    fn a_hard_purge_outweighs_a_later_soft_one() {
        let purges = Purges::default();
        purges.purge(&Selector::Url(1), Mode::Hard);
        purges.purge(&Selector::Url(1), Mode::Soft);
        assert_eq!(purges.verdict(&NAMES, 0), Verdict::Hard);
        assert_eq!(purges.verdict(&NAMES, 1), Verdict::Soft);
    }

    #[test]
    fn what_is_forgotten_is_held_against_all_that_began_before() {
        let purges = Purges::default();
        let forgotten = purges.purge(&Selector::Prefix("b".into()), Mode::Hard);
        purges.purge(&Selector::Prefix("a.example".into()), Mode::Soft);
        purges.forget_through(forgotten);
        assert_eq!(purges.remembered(), 1);
        assert_eq!(purges.verdict(&NAMES, forgotten - 1), Verdict::Hard);
        assert_eq!(purges.verdict(&NAMES, forgotten), Verdict::Soft);
    }
}
