//! The example file is valid, and the reference in docs/configuration.md names the keys that the code knows.

use super::*;
use crate::configuration::documentation::{disagreements, documented_keys};

#[test]
fn the_example_is_valid_and_every_key_is_documented() {
    let example = include_str!("../../../../../deploy/examples/site.toml");
    let (site, reading) = read(example).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(site.publication.roles.len(), 3, "the distribution point is off");
    assert_eq!(site.gateways.iter().map(|gateway| gateway.instances.len()).sum::<usize>(), 2);
    let documented = documented_keys(include_str!("../../../../../docs/configuration.md"), "`site.toml`");
    let found = disagreements(&documented, &reading);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(documented.len() > 30, "the reference was found");
}
