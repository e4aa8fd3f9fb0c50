//! A tunnel that takes another's place: only when it has settled, and without a trace when it fails (T-05).

use super::*;

/// The place of a tunnel that is to be replaced, and one that is to replace it.
struct Succession {
    predecessor: CancellationToken,
    successor: Place,
}

impl Succession {
    async fn of<T>(stage: &Stage, play: impl AsyncFnOnce(&Self) -> T) -> T {
        let open = stage.place.instance.open_place(Lane::Interactive);
        let retiring = stage.place.retiring.child_token();
        let successor = Place { id: open.id, retiring, ..stage.place.clone() };
        let this = Self { predecessor: CancellationToken::new(), successor };
        let addresses = stage.place.instance.addresses.clone();
        let kept = succeed(this.successor.clone(), open, addresses, this.predecessor.clone());
        let both = async { tokio::join!(play(&this), kept) };
        timeout(limits::REDIAL_LONGEST * 2, both).await.expect("the successor is kept on").0
    }

    fn is_open(&self, stage: &Stage) -> bool {
        stage.place.instance.places().iter().any(|place| place.id == self.successor.id)
    }
}

#[tokio::test]
async fn a_new_tunnel_has_settled_before_the_old_one_goes() {
    let stage = Stage::new().await;
    Succession::of(&stage, async |succession| {
        let gateway = stage.connected(&hello()).await;
        stage.place.instance.until_up(succession.successor.id).await;
        tokio::time::pause();
        tokio::time::advance(limits::REPLACEMENT_SETTLES - Duration::from_millis(1)).await;
        tokio::task::yield_now().await;
        assert!(!succession.predecessor.is_cancelled());
        tokio::time::advance(Duration::from_millis(2)).await;
        succession.predecessor.cancelled().await;
        tokio::time::resume();
        // It is kept like any other from now on.
        drop(gateway);
        let gateway = stage.connected(&hello()).await;
        succession.successor.retiring.cancel();
        drop(gateway);
    })
    .await;
}

#[tokio::test]
async fn a_new_tunnel_that_does_not_settle_changes_nothing() {
    let stage = Stage::new().await;
    let succession = Succession::of(&stage, async |succession| {
        let gateway = stage.connected(&hello()).await;
        stage.place.instance.until_up(succession.successor.id).await;
        drop(gateway);
        succession.predecessor.clone()
    });
    assert!(!succession.await.is_cancelled());
}

#[tokio::test]
async fn an_address_that_fails_is_tried_once() {
    let stage = Stage::new().await;
    let (predecessor, was_open) = Succession::of(&stage, async |succession| {
        drop(stage.listener.accept().await.unwrap());
        (succession.predecessor.clone(), succession.is_open(&stage))
    })
    .await;
    assert!(!predecessor.is_cancelled() && was_open);
    assert_eq!(stage.place.instance.places().len(), 1, "the first place of the stage alone");
}
