//! One line being put together: begin, fields, end. Values come from anywhere, so every control character
//! is escaped and no value can end its line or its quotes. No allocation but the line's own.

use std::fmt::{Arguments, Display, Write};
use std::time::{Duration, SystemTime};

use tracing::Level;

use super::format::Style;
use super::timestamp::Timestamp;

/// The fields of a line, in the order of the calls.
#[derive(Debug)]
pub struct Line<'a> {
    out: &'a mut String,
    style: Style,
    time: Timestamp,
    level: Level,
    target: &'a str,
}

impl<'a> Line<'a> {
    pub(super) fn begin(out: &'a mut String, style: Style, time: SystemTime, level: Level, target: &'a str) -> Self {
        let time = Timestamp::new(time);
        match style {
            Style::Json => {
                out.push_str("{\"time\":\"");
                time.push_to(out);
                for part in ["\",\"level\":\"", lower(level), "\",\"component\":\"", target, "\""] {
                    out.push_str(part);
                }
            }
            Style::Human => push(out, format_args!("{time} {level:>5} {target}:")),
            Style::Coloured => {
                let colour = colour(level);
                push(out, format_args!("\x1b[2m{time}\x1b[0m \x1b[{colour}m{level:>5}\x1b[0m \x1b[2m{target}:\x1b[0m"));
            }
            Style::CmTrace => out.push_str("<![LOG["),
        }
        Self { out, style, time, level, target }
    }

    /// A line's fields alone, for a span that gives them to its events later.
    pub(super) fn fields_only(out: &'a mut String, style: Style) -> Self {
        Self { out, style, time: Timestamp::new(SystemTime::UNIX_EPOCH), level: Level::INFO, target: "" }
    }

    /// Fields that were made by [`Line::fields_only`] in the same style.
    pub(super) fn append(&mut self, fields: &str) {
        self.out.push_str(fields);
    }

    pub(super) fn message(&mut self, message: Arguments<'_>) {
        match self.style {
            Style::Json => {
                self.name("message");
                self.quoted(message);
            }
            Style::Human | Style::Coloured => {
                self.out.push(' ');
                escaped(self.out, Plain, message);
            }
            Style::CmTrace => escaped(self.out, Plain, message),
        }
    }

    /// A value of text.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        self.out.push('"');
        let how = self.escape();
        // Writing to a String does not fail.
        let _ = Escaping { out: self.out, how }.write_str(value);
        self.out.push('"');
        self
    }

    /// A value of text that may be absent: then the field is left out.
    pub fn text_if(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// A value that prints itself.
    pub fn display(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.name(name);
        self.quoted(format_args!("{value}"));
        self
    }

    /// Bytes from the wire: what is not printable ASCII is shown as `\xNN`.
    pub fn bytes(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.display(name, value.escape_ascii())
    }

    pub fn number(&mut self, name: &str, value: u64) -> &mut Self {
        self.name(name);
        decimal(self.out, value, 1);
        self
    }

    pub fn boolean(&mut self, name: &str, value: bool) -> &mut Self {
        self.bare(name, format_args!("{value}"))
    }

    /// A duration in milliseconds with microseconds after the point; say `_ms` in the name.
    pub fn milliseconds(&mut self, name: &str, value: Duration) -> &mut Self {
        self.name(name);
        decimal(self.out, u64::try_from(value.as_millis()).unwrap_or(u64::MAX), 1);
        self.out.push('.');
        decimal(self.out, u64::from(value.subsec_micros() % 1000), 3);
        self
    }

    pub(super) fn bare(&mut self, name: &str, value: Arguments<'_>) -> &mut Self {
        self.name(name);
        push(self.out, value);
        self
    }

    pub(super) fn end(self) {
        match self.style {
            Style::Json => self.out.push_str("}\n"),
            Style::Human | Style::Coloured => self.out.push('\n'),
            Style::CmTrace => self.end_cmtrace(),
        }
    }

    fn end_cmtrace(self) {
        const END: &str = "]LOG]!>";
        if self.out.contains(END) {
            *self.out = self.out.replace(END, "]LOG] !>");
        }
        let Timestamp { year, month, day, hour, minute, second, millisecond } = self.time;
        let kind = match self.level {
            Level::ERROR => 3,
            Level::WARN => 2,
            _ => 1,
        };
        let (target, thread) = (self.target, thread_number());
        push(
            self.out,
            format_args!(
                "{END}<time=\"{hour:02}:{minute:02}:{second:02}.{millisecond:03}+000\" \
                 date=\"{month:02}-{day:02}-{year:04}\" component=\"{target}\" context=\"\" type=\"{kind}\" \
                 thread=\"{thread}\" file=\"\">\n"
            ),
        );
    }

    /// What stands before a value.
    fn name(&mut self, name: &str) {
        let (before, after) = match self.style {
            Style::Json => (",\"", "\":"),
            Style::Human | Style::Coloured | Style::CmTrace => (" ", "="),
        };
        self.out.push_str(before);
        self.out.push_str(name);
        self.out.push_str(after);
    }

    fn quoted(&mut self, value: Arguments<'_>) {
        self.out.push('"');
        escaped(self.out, self.escape(), value);
        self.out.push('"');
    }

    fn escape(&self) -> Escape {
        match self.style {
            Style::Json => Json,
            Style::Human | Style::Coloured | Style::CmTrace => Quoted,
        }
    }
}

use Escape::{Json, Plain, Quoted};

/// What must not stand as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// Control characters.
    Plain,
    /// Also quotes and backslashes.
    Quoted,
    /// The same in the way of JSON.
    Json,
}

/// Passes text on with what is dangerous escaped.
struct Escaping<'a> {
    out: &'a mut String,
    how: Escape,
}

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if text.bytes().all(is_harmless) {
            self.out.push_str(text);
            return Ok(());
        }
        let mut rest = text;
        while let Some(at) = rest.find(|character| is_dangerous(character, self.how)) {
            let (safe, from) = rest.split_at(at);
            self.out.push_str(safe);
            let mut characters = from.chars();
            if let Some(character) = characters.next() {
                self.escape(character);
            }
            rest = characters.as_str();
        }
        self.out.push_str(rest);
        Ok(())
    }
}

impl Escaping<'_> {
    fn escape(&mut self, character: char) {
        match (character, self.how) {
            ('"' | '\\', _) => {
                self.out.push('\\');
                self.out.push(character);
            }
            ('\n', _) => self.out.push_str("\\n"),
            ('\r', _) => self.out.push_str("\\r"),
            ('\t', _) => self.out.push_str("\\t"),
            (other, Json) => push(self.out, format_args!("\\u{:04x}", u32::from(other))),
            (other, Plain | Quoted) => push(self.out, format_args!("\\u{{{:x}}}", u32::from(other))),
        }
    }
}

/// Never in need of an escape; nearly all text is nothing else.
const fn is_harmless(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Controls, and the characters that turn the direction of writing or break lines in some readers.
fn is_dangerous(character: char, how: Escape) -> bool {
    character.is_control()
        || (how != Plain && matches!(character, '"' | '\\'))
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(out: &mut String, how: Escape, text: Arguments<'_>) {
    push_to(&mut Escaping { out, how }, text);
}

fn push(out: &mut String, text: Arguments<'_>) {
    push_to(out, text);
}

fn push_to(out: &mut impl Write, text: Arguments<'_>) {
    // Writing to a String does not fail; a value whose Display fails is cut there.
    let _ = out.write_fmt(text);
}

/// Decimal digits, at least so many. Much cheaper than `fmt`, and a line has ten numbers.
pub(super) fn decimal(out: &mut String, value: u64, at_least: usize) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut used) = (value, 0);
    for digit in digits.iter_mut().rev() {
        if rest == 0 && used >= at_least {
            break;
        }
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
    }
    let digits = digits.get(20 - used..).unwrap_or_default();
    out.extend(digits.iter().copied().map(char::from));
}

const fn lower(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

const fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

/// Small numbers in the order in which threads first log.
fn thread_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static NUMBER: u64 = NEXT.fetch_add(1, Relaxed));
    NUMBER.with(|number| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(style: Style, fields: impl FnOnce(&mut Line<'_>)) -> String {
        let mut out = String::new();
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_709_251_199_999);
        let mut line = Line::begin(&mut out, style, time, Level::WARN, "exchange");
        line.message(format_args!("exchange"));
        fields(&mut line);
        line.end();
        out
    }

    fn fields(line: &mut Line<'_>) {
        line.text("code", "a\"b\\c\nd\u{1b}é").bytes("target", b"/x\xff y").number("status", 502);
        line.milliseconds("total_ms", Duration::from_micros(1_234_567)).boolean("cut", true).text_if("none", None);
    }

    #[test]
    fn numbers_have_all_their_digits() {
        let digits = |value, at_least| {
            let mut out = String::new();
            decimal(&mut out, value, at_least);
            out
        };
        assert_eq!((digits(0, 1), digits(7, 3), digits(1234, 3)), ("0".into(), "007".into(), "1234".into()));
        assert_eq!(digits(u64::MAX, 1), u64::MAX.to_string());
    }

    #[test]
    fn json_is_json() {
        let text = line(Style::Json, fields);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert_eq!(value["time"], "2024-02-29T23:59:59.999Z");
        assert_eq!((&value["level"], &value["component"]), (&"warn".into(), &"exchange".into()));
        assert_eq!(value["code"], "a\"b\\c\nd\u{1b}é");
        assert_eq!(value["target"], "/x\\xff y");
        assert_eq!(value["status"], 502);
        assert_eq!(value["total_ms"], 1234.567);
        assert_eq!(value["cut"], true);
    }

    #[test]
    fn people_read_one_line() {
        let text = line(Style::Human, fields);
        assert_eq!(
            text,
            "2024-02-29T23:59:59.999Z  WARN exchange: exchange code=\"a\\\"b\\\\c\\nd\\u{1b}é\" \
             target=\"/x\\\\xff y\" status=502 total_ms=1234.567 cut=true\n"
        );
    }

    #[test]
    fn cmtrace_cannot_be_broken_out_of() {
        let text = line(Style::CmTrace, |line| {
            line.text("agent", "]LOG]!><time=");
        });
        assert_eq!(text.matches("]LOG]!>").count(), 1);
        assert!(text.starts_with("<![LOG[exchange agent=\"]LOG] !><time=\"]LOG]!><time=\"23:59:59.999+000\" "));
        assert!(text.contains(" date=\"02-29-2024\" component=\"exchange\" context=\"\" type=\"2\" thread=\""));
        assert!(text.ends_with("\" file=\"\">\n"));
    }
}
