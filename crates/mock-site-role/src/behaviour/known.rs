//! Every behaviour, once: its name, how it is written and what it does.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Help,
    Echo,
    Mirror,
    Huge,
    Digest,
    Slow,
    Poll,
    Release,
    Static,
    Status,
    Redirect,
    Early,
    Abort,
    Fields,
    Interim,
    Trailers,
    Chunks,
    UntilClose,
    Lengths,
    Garbage,
    Never,
}

impl Behaviour {
    /// Written by hand onto the socket, not by hyper.
    pub fn is_raw(self) -> bool {
        use Behaviour::*;
        matches!(
            self,
            Status
                | Redirect
                | Early
                | Abort
                | Fields
                | Interim
                | Trailers
                | Chunks
                | UntilClose
                | Lengths
                | Garbage
                | Never
        )
    }

    pub fn name(self) -> &'static str {
        KNOWN.iter().find(|known| known.behaviour == self).map_or("", |known| known.name)
    }
}

/// How a behaviour is asked for.
pub struct Known {
    pub behaviour: Behaviour,
    pub name: &'static str,
    pub parameters: &'static str,
    pub does: &'static str,
}

const fn known(behaviour: Behaviour, name: &'static str, parameters: &'static str, does: &'static str) -> Known {
    Known { behaviour, name, parameters, does }
}

pub const KNOWN: [Known; 21] = [
    known(Behaviour::Help, "help", "", "this list"),
    known(
        Behaviour::Echo,
        "echo",
        "",
        "JSON of what came: exact target, fields in order, length and SHA-256 of the body",
    ),
    known(Behaviour::Mirror, "mirror", "", "sends the body back while it comes, trailers too"),
    known(Behaviour::Huge, "huge", "bytes seed framing=length|chunked", "generated content, as fast as it is read"),
    known(Behaviour::Digest, "digest", "bytes seed", "JSON with the SHA-256 of what huge sends"),
    known(
        Behaviour::Slow,
        "slow",
        "pieces piece every=ms hold=key framing=chunked|length seed",
        "the head at once, then a piece every so many ms or each time the gate is released",
    ),
    known(Behaviour::Poll, "poll", "key within=ms", "answers when the gate is released; 204 after the time"),
    known(Behaviour::Release, "release", "key count", "lets so many waiters through a gate"),
    known(
        Behaviour::Static,
        "static",
        "bytes seed",
        "GET and HEAD with ranges, ETag, Last-Modified, If-Range and the other conditions; /static/<name> is any name",
    ),
    known(
        Behaviour::Status,
        "status",
        "reason bytes field=Name:value",
        "/status/<code> with any reason phrase, also none",
    ),
    known(Behaviour::Redirect, "redirect", "to status", "a redirect"),
    known(
        Behaviour::Early,
        "early",
        "status bytes after=read|stop|close",
        "the whole answer before the body is read; then reads on, stops reading for good, or closes",
    ),
    known(
        Behaviour::Abort,
        "abort",
        "at=body|head|before bytes framing=length|chunked how=close|clean|reset read=yes|no",
        "breaks off: after so many bytes of the body, in the head, or before it",
    ),
    known(
        Behaviour::Fields,
        "fields",
        "kind=many|long|repeated|case|non-ascii|empty|cmg|folded|space|no-colon|nul|bare-lf|name n",
        "an answer with odd fields; those from folded on are not HTTP",
    ),
    known(
        Behaviour::Interim,
        "interim",
        "status=103 (repeatable) field=Name:value",
        "interim answers before the final one",
    ),
    known(Behaviour::Trailers, "trailers", "n announce=yes|no field=Name:value", "a chunked answer with trailers"),
    known(
        Behaviour::Chunks,
        "chunks",
        "count size writes=one|each extension",
        "chunks of one size, in one write or one each",
    ),
    known(Behaviour::UntilClose, "until-close", "bytes seed how=clean|close", "a body that ends with the connection"),
    known(
        Behaviour::Lengths,
        "lengths",
        "kind=conflicting|duplicate|list|negative|plus|hex|huge|with-chunked|short|long|bad-chunk|bad-chunk-end|unknown-coding|on-204",
        "framing that is wrong or odd",
    ),
    known(
        Behaviour::Garbage,
        "garbage",
        "kind=text|binary|version|status|status-line|http2|long-line|empty-line",
        "something that is not an HTTP/1.1 answer",
    ),
    known(
        Behaviour::Never,
        "never",
        "after read=yes|no",
        "no answer, or so many bytes of one, until the other end gives up",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_behaviour_is_known_by_its_name() {
        for known in &KNOWN {
            assert_eq!(known.behaviour.name(), known.name);
        }
    }
}
