//! The `params` of a request, put together from raw pieces.

use serde_json::value::RawValue;

/// A JSON object written member by member; what is inside each keeps its bytes.
#[derive(Debug)]
pub struct ObjectText(String);

impl Default for ObjectText {
    fn default() -> Self {
        Self::new()
    }
}

impl ObjectText {
    /// An empty object.
    #[must_use]
    pub fn new() -> Self {
        Self("{".into())
    }

    /// Adds a member; `raw` is JSON.
    pub fn member(&mut self, name: &str, raw: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&serde_json::Value::from(name).to_string());
        self.0.push(':');
        self.0.push_str(raw);
    }

    /// The text of the object.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// The members of a raw object in their order. A doubled name is refused.
///
/// # Errors
/// When it is no object, or a member is doubled.
pub fn members(raw: &str) -> serde_json::Result<Vec<(String, Box<RawValue>)>> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, Box<RawValue>)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a json object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members: Self::Value = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                if members.iter().any(|(known, _)| *known == name) {
                    return Err(serde::de::Error::custom(format!("the member `{name}` is doubled")));
                }
                members.push((name, value));
            }
            Ok(members)
        }
    }
    serde::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_str(raw), Members)
}

/// The params with those `_meta` members that they lack.
pub(crate) fn with_meta(
    params: Option<&RawValue>,
    wanted: &[(String, String)],
) -> serde_json::Result<Box<RawValue>> {
    let mut object = ObjectText::new();
    let mut meta = ObjectText::new();
    let mut present = Vec::new();
    for (name, value) in params.map(|params| members(params.get())).transpose()?.unwrap_or_default() {
        if name == "_meta" {
            for (name, value) in members(value.get())? {
                meta.member(&name, value.get());
                present.push(name);
            }
        } else {
            object.member(&name, value.get());
        }
    }
    for (name, value) in wanted.iter().filter(|(name, _)| !present.contains(name)) {
        meta.member(name, value);
    }
    object.member("_meta", &meta.finish());
    RawValue::from_string(object.finish())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn meta_is_completed_and_nothing_else_changes() {
        let params = RawValue::from_string(r#"{"n":1.50,"_meta":{"v":"theirs","x":1}}"#.into()).unwrap();
        let wanted = [("v".to_owned(), r#""ours""#.to_owned()), ("c".to_owned(), "{}".to_owned())];
        let got = with_meta(Some(&params), &wanted).unwrap();
        assert_eq!(got.get(), r#"{"n":1.50,"_meta":{"v":"theirs","x":1,"c":{}}}"#);
        assert_eq!(with_meta(None, &[]).unwrap().get(), r#"{"_meta":{}}"#);
        assert!(members(r#"{"a":1,"a":2}"#).is_err());
    }
}
