//! Heads with odd fields: those that HTTP allows, and those that it does not.

use super::connection::{field, head};
use super::{After, Failure, Raw};

type Field = (Vec<u8>, Vec<u8>);

#[derive(Clone, Copy)]
enum Kind {
    Many,
    Long,
    Repeated,
    Case,
    NonAscii,
    Empty,
    Cmg,
    /// Lines that no head may have, written as they are.
    Line(&'static [u8]),
}

const KINDS: [(&str, Kind); 13] = [
    ("many", Kind::Many),
    ("long", Kind::Long),
    ("repeated", Kind::Repeated),
    ("case", Kind::Case),
    ("non-ascii", Kind::NonAscii),
    ("empty", Kind::Empty),
    ("cmg", Kind::Cmg),
    ("folded", Kind::Line(b"X-Folded: one\r\n two\r\n")),
    ("space", Kind::Line(b"X-Space : value\r\n")),
    ("no-colon", Kind::Line(b"X-No-Colon value\r\n")),
    ("nul", Kind::Line(b"X-Nul: a\0b\r\n")),
    ("bare-lf", Kind::Line(b"X-Bare: value\nX-Other: value\r\n")),
    ("name", Kind::Line(b"X Bad@Name: value\r\n")),
];

impl Raw<'_> {
    pub(super) async fn odd_fields(&mut self) -> Result<After, Failure> {
        let kind = self.wish.parameters.word("kind", &KINDS)?;
        let count = self.wish.parameters.number("n", 50)?;
        self.connection.read_body().await?;
        self.connection.answering(200);
        let mut fields = made(kind, count);
        fields.extend(self.wished_fields());
        fields.push(field("Content-Length", 3));
        let mut answer = head(b"200 OK", &fields);
        if let Kind::Line(line) = kind {
            answer.truncate(answer.len() - 2);
            answer.extend_from_slice(line);
            answer.extend_from_slice(b"\r\n");
        }
        if !self.is_head() {
            answer.extend_from_slice(b"odd");
        }
        self.connection.write(&answer).await?;
        Ok(self.connection.answered())
    }

    /// One interim answer per `status`, then the final one.
    pub(super) async fn interim(&mut self) -> Result<After, Failure> {
        let mut statuses: Vec<Vec<u8>> = self.wish.parameters.all("status").map(<[u8]>::to_vec).collect();
        if statuses.is_empty() {
            statuses.push(b"103".to_vec());
        }
        let fields = self.wished_fields();
        self.connection.read_body().await?;
        for status in statuses {
            self.connection.write(&head(&[&status[..], b" Interim"].concat(), &fields)).await?;
        }
        Ok(self.connection.answer("200 OK", &[], b"final").await?)
    }
}

fn made(kind: Kind, count: u64) -> Vec<Field> {
    let bytes = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    match kind {
        Kind::Many => (0..count).map(|number| field(&format!("X-Many-{number}"), number)).collect(),
        Kind::Long => vec![field("X-Long", "a".repeat(count as usize))],
        Kind::Repeated => {
            let one = |number| [field("Set-Cookie", format!("c{number}=1; Path=/")), field("X-Repeated", number)];
            (0..count.min(20)).flat_map(one).collect()
        }
        Kind::Case => {
            vec![field("x-MiXeD-CaSe", "Kept"), field("SERVER", "Microsoft-IIS/10.0"), field("etag", "\"e\"")]
        }
        Kind::NonAscii => vec![bytes("X-Latin1", b"caf\xe9"), bytes("X-Utf8", "caf\u{e9} \u{20ac}".as_bytes())],
        Kind::Empty => vec![field("X-Empty", ""), field("X-Spaces", "   ")],
        Kind::Cmg => vec![
            field("X-CMG-Request-Id", "forged"),
            field("X-CMG-Error", "forged"),
            field("Connection", "X-Hop"),
            field("X-Hop", "1"),
            field("Keep-Alive", "timeout=5"),
            field("Proxy-Authenticate", "Basic"),
            field("Location", "https://inside.example/"),
        ],
        Kind::Line(_) => Vec::new(),
    }
}
