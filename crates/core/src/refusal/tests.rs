//! The list as a whole.

use super::*;
use std::collections::HashSet;

#[test]
fn every_code_is_listed_once() {
    let codes: HashSet<_> = RefusalKind::ALL.iter().map(|kind| kind.code()).collect();
    assert_eq!(codes.len(), RefusalKind::ALL.len());
    for kind in RefusalKind::ALL {
        assert!(kind.code().starts_with("CMGService_") || kind.code().starts_with("CMGConnector_"));
        assert_eq!(kind.code().starts_with("CMGConnector_"), kind.decided_by() == "connection point");
        assert!((400..=505).contains(&kind.status()));
        assert!(kind.why().ends_with('.') && kind.next().ends_with('.'));
    }
}

#[test]
fn only_429_and_503_promise_that_nothing_was_executed() {
    for kind in RefusalKind::ALL {
        assert_eq!(kind.retry_after().is_some(), [429, 503].contains(&kind.status()), "{kind:?}");
    }
}
