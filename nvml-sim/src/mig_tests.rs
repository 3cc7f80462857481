//! The geometry against the published figures, by enumeration of every legal layout.

use super::*;
use crate::models::MODELS;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Index of a family by its id.
fn family(id: u32) -> usize {
    by_id(id).expect("a family")
}

/// Every layout that creation can reach with some families, and how many of them take no more.
fn layouts(families: &[u32]) -> (usize, usize) {
    let families: Vec<usize> = families.iter().map(|id| family(*id)).collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![Vec::<(usize, u32)>::new()];
    let mut maximal = 0;
    while let Some(layout) = open.pop() {
        if !seen.insert(layout.clone()) {
            continue;
        }
        let mut grew = false;
        for profile in &families {
            for start in PROFILES[*profile].starts {
                let mut instances = Vec::new();
                for (p, s) in &layout {
                    create(&mut instances, *p, *s).expect("the layout was legal");
                }
                if create(&mut instances, *profile, *start).is_ok() {
                    grew = true;
                    let mut next = layout.clone();
                    next.push((*profile, *start));
                    next.sort_unstable();
                    open.push(next);
                }
            }
        }
        maximal += usize::from(!grew);
    }
    (seen.len(), maximal)
}

#[test]
fn five_base_families_have_298_layouts_of_which_19_are_full() {
    assert_eq!(layouts(&[19, 14, 9, 5, 0]), (298, 19));
}

#[test]
fn double_memory_brings_723_layouts_of_which_78_are_full() {
    assert_eq!(layouts(&[19, 15, 14, 9, 5, 0]), (723, 78));
}

#[test]
fn one_media_instance_brings_2319_layouts_of_which_239_are_full() {
    assert_eq!(layouts(&[19, 20, 15, 14, 9, 5, 0]), (2319, 239));
}

#[test]
fn ids_numbers_and_sizes_are_the_published_ones() {
    let table: Vec<_> = PROFILES.iter().map(|p| (p.id, p.number, p.size, p.max, p.compute)).collect();
    assert_eq!(
        table,
        [
            (19, 0, 1, 7, 1),
            (20, 7, 1, 1, 1),
            (15, 9, 2, 4, 1),
            (14, 1, 2, 3, 2),
            (9, 2, 4, 2, 3),
            (5, 3, 4, 1, 4),
            (0, 4, 8, 1, 7),
        ]
    );
}

#[test]
fn names_say_their_compute_slices_and_memory_grows_with_size() {
    for model in MODELS.iter().filter(|model| model.mig.is_some()) {
        let facts = model.mig.expect("checked");
        for (profile, fact) in PROFILES.iter().zip(facts) {
            assert!(fact.name.starts_with(&format!("{}g.", profile.compute)), "{} {}", model.key, fact.name);
            assert_eq!(fact.name.ends_with("+me"), profile.media);
            let share = model.memory_mib * u64::from(profile.size) / u64::from(SLICES);
            assert!(fact.memory_mib <= share && fact.memory_mib * 10 >= share * 9, "{} {}", model.key, fact.name);
        }
    }
}

#[test]
fn the_driver_keeps_large_profiles_possible_when_it_chooses() {
    assert_eq!(choose(&[], family(19)), Some(6));
    assert_eq!(choose(&[], family(14)), Some(4));
    assert_eq!(choose(&[], family(9)), Some(4));
}

#[test]
fn compute_instances_share_a_gpu_instance() {
    let mut instances = Vec::new();
    create(&mut instances, family(9), 0).expect("3g fits");
    let three = &mut instances[0];
    for id in 0..3 {
        assert_eq!(create_compute(three, 1, None), Ok(id));
    }
    assert_eq!(create_compute(three, 1, None), Err(Refused::NoRoom));
    assert_eq!(create_compute(three, 4, None), Err(Refused::NoRoom));
}

proptest! {
    #[test]
    fn no_history_of_creates_and_destroys_overlaps(steps in prop::collection::vec((0usize..7, 0u32..8, any::<bool>()), 0..60)) {
        let mut instances = Vec::new();
        for (profile, start, destroy) in steps {
            if destroy && !instances.is_empty() {
                let at = start as usize % instances.len();
                instances.remove(at);
            } else {
                let before = remaining(&instances, profile);
                let made = create(&mut instances, profile, start).is_ok();
                prop_assert!(!made || before > 0);
            }
            let ids: BTreeSet<u32> = instances.iter().map(|instance: &Instance| instance.id).collect();
            prop_assert_eq!(ids.len(), instances.len());
            let slices: u32 = instances.iter().map(|instance| instance.family().size).sum();
            let compute: u32 = instances.iter().map(|instance| instance.family().compute).sum();
            prop_assert!(slices <= SLICES && compute <= 7);
        }
    }
}
