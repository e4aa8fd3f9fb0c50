//! Header and trailer fields as bytes, in the order they came. The one form used by the HTTP/1 code, the
//! tunnel and the policy on headers; never a map, so that order and repetition survive.

use bytes::Bytes;

/// One field. The name keeps the case it came in; compare it with [`Field::is`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: Bytes,
    pub value: Bytes,
}

impl Field {
    pub fn new(name: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// Whether this field has the given name, which must be written in lower case.
    pub fn is(&self, lower_case_name: &str) -> bool {
        self.name.eq_ignore_ascii_case(lower_case_name.as_bytes())
    }
}

/// Fields in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<Field>);

impl Fields {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub fn push(&mut self, field: Field) {
        self.0.push(field);
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Field> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values of all fields of this name, which must be written in lower case.
    pub fn all<'a>(&'a self, lower_case_name: &'a str) -> impl Iterator<Item = &'a Bytes> {
        self.0.iter().filter(move |field| field.is(lower_case_name)).map(|field| &field.value)
    }

    /// The value of the first field of this name, which must be written in lower case.
    pub fn first(&self, lower_case_name: &str) -> Option<&Bytes> {
        self.0.iter().find(|field| field.is(lower_case_name)).map(|field| &field.value)
    }

    pub fn retain(&mut self, keep: impl FnMut(&Field) -> bool) {
        self.0.retain(keep);
    }

    /// Bytes on the wire of HTTP/1: name, colon, space, value, CRLF.
    pub fn wire_length(&self) -> usize {
        self.0.iter().map(|field| field.name.len() + field.value.len() + 4).sum()
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl IntoIterator for Fields {
    type Item = Field;
    type IntoIter = std::vec::IntoIter<Field>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = &'a Field;
    type IntoIter = std::slice::Iter<'a, Field>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_order_is_kept() {
        let fields: Fields =
            [Field::new("X-A", "1"), Field::new("b", "2"), Field::new("x-a", "3")].into_iter().collect();
        assert_eq!(fields.all("x-a").collect::<Vec<_>>(), ["1", "3"]);

        assert_eq!(fields.first("b").map(|value| value.as_ref()), Some(&b"2"[..]));
    }
}
