//! A typed action: a manifest with everything that is worked out from it once, when the bundle loads.

use super::flow::{Argument, Audience, Class, Intent};
use super::{ActionManifest, closing, flow, infer, weight};
use crate::base::digest::Digest;
use crate::define::connector::{ConnectorSpec, UnreadableConnector};
use crate::define::isolation::Requirements;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::fmt;

/// A manifest with its compiled schema.
pub struct TypedAction {
    /// The manifest.
    pub manifest: ActionManifest,
    /// SHA-256 of the manifest's canonical JSON: which definition was judged.
    pub digest: Digest,
    /// The schema as it is enforced: closed.
    pub schema: Value,
    /// The roles of its arguments: what the manifest says, and for the others what names suggest.
    pub roles: Roles,
    /// Whom its effect reaches.
    pub egress: Audience,
    /// The words by which a goal asks for it.
    pub intent: Intent,
    /// What it needs of its cage, if a program carries it out here.
    pub cage: Option<Requirements>,
    connector: Result<Option<ConnectorSpec>, UnreadableConnector>,
    /// A check for each label of the output that has a pattern.
    patterns: Vec<Option<jsonschema::Validator>>,
    validator: jsonschema::Validator,
    /// The schema as it was written, where closing it may have changed more than what is unknown.
    written: Option<jsonschema::Validator>,
}

/// The roles of an action's arguments.
#[derive(Debug, Clone, Default)]
pub struct Roles(Vec<(String, Argument)>);

impl Roles {
    fn of(manifest: &ActionManifest, schema: &Value) -> Self {
        let guessed = infer::classes(manifest.name.as_str(), manifest.effect, &manifest.fields, schema);
        let guessed = guessed.into_iter().filter(|(name, _)| !manifest.args.contains_key(name));
        let bare = |class| Argument {
            class,
            low_value: Decimal::ZERO,
            limit: None,
            dialect: Default::default(),
            default: None,
        };
        let said = manifest.args.iter().map(|(name, argument)| (name.clone(), argument.clone()));
        let all = said.chain(guessed.map(|(name, class)| (name, bare(class))));
        let mut roles: Vec<_> = all.map(|(name, argument)| (pointer_of(&name), argument)).collect();
        // The most particular first.
        roles.sort_by_key(|(pointer, _)| std::cmp::Reverse(pointer.split('/').count()));
        Self(roles)
    }

    /// The role of the value at this JSON pointer of the arguments.
    pub fn of_pointer(&self, pointer: &str) -> Option<&Argument> {
        self.0.iter().find(|(pattern, _)| flow::covers(pattern, pointer)).map(|(_, argument)| argument)
    }

    /// All of them, as JSON pointers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Argument)> {
        self.0.iter().map(|(pointer, argument)| (pointer.as_str(), argument))
    }

    /// Whether some argument has this role.
    pub fn has(&self, class: Class) -> bool {
        self.0.iter().any(|(_, argument)| argument.class == class)
    }
}

/// The JSON pointer that a key of `args` means.
pub fn pointer_of(name: &str) -> String {
    if name.starts_with('/') {
        name.to_owned()
    } else {
        format!("/{}", name.replace('~', "~0").replace('/', "~1"))
    }
}

impl fmt::Debug for TypedAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedAction({} {})", self.manifest.name, self.digest.short())
    }
}

impl TypedAction {
    /// Compiles a manifest. The error names what is wrong with it.
    pub fn compile(manifest: ActionManifest) -> Result<Self, String> {
        if weight::is_too_heavy(&manifest.arguments) {
            return Err(format!(
                "`arguments` means more than {} places once its references are followed; write a smaller schema",
                weight::PLACES_MAX
            ));
        }
        let (schema, apart) = closing::closed(&manifest.arguments);
        if schema.pointer("/type") != Some(&Value::String("object".into())) {
            return Err("`arguments` must be a JSON Schema with `\"type\": \"object\"`".into());
        }
        // The default build of the validator has no way to fetch a remote `$ref`: such a schema fails here.
        let build = |schema: &Value| {
            let options = jsonschema::options().should_validate_formats(true);
            options.build(schema).map_err(|e| format!("`arguments`: {e}"))
        };
        let written = if apart { Some(build(&manifest.arguments)?) } else { None };
        let validator = build(&schema)?;
        let value = serde_json::to_value(&manifest).map_err(|e| e.to_string())?;
        let digest = crate::base::json::Document::from_value(value).map_err(|e| e.to_string())?.digest();
        let mut patterns = Vec::new();
        for (i, label) in manifest.outputs.iter().enumerate() {
            let whole =
                label.pattern.as_ref().map(|p| json!({"type": "string", "pattern": format!("^(?:{p})$")}));
            let compiled = whole.map(|schema| {
                jsonschema::validator_for(&schema)
                    .map_err(|e| format!("the `pattern` of `outputs[{i}]`: {e}"))
            });
            patterns.push(compiled.transpose()?);
        }
        let roles = Roles::of(&manifest, &schema);
        let name = manifest.name.as_str();
        let classes = roles.iter().map(|(_, argument)| argument.class);
        let egress = manifest.egress.unwrap_or_else(|| infer::egress(name, manifest.effect, classes));
        let intent = if manifest.intent.is_empty() {
            infer::intent(name, manifest.effect, roles.has(Class::Profile))
        } else {
            manifest.intent.clone()
        };
        let connector = ConnectorSpec::read(&manifest.connector);
        let cage = match &connector {
            Ok(spec) => spec.as_ref().and_then(ConnectorSpec::needs),
            Err(unreadable) => unreadable.needs(),
        };
        Ok(Self {
            manifest,
            digest,
            schema,
            roles,
            egress,
            intent,
            cage,
            connector,
            patterns,
            validator,
            written,
        })
    }

    /// Connector that carries it out, if it has one that can be read.
    pub fn connector(&self) -> Option<&ConnectorSpec> {
        self.connector.as_ref().ok()?.as_ref()
    }

    /// The same; what cannot be read is told apart from what is not there.
    pub fn readable_connector(&self) -> Result<Option<&ConnectorSpec>, &UnreadableConnector> {
        self.connector.as_ref().map(Option::as_ref)
    }

    /// Whether a value has the pattern that the label of this number asks for, if it asks for one.
    pub fn has_pattern(&self, label: usize, value: &str) -> bool {
        match self.patterns.get(label) {
            Some(Some(pattern)) => pattern.is_valid(&Value::String(value.to_owned())),
            Some(None) | None => true,
        }
    }

    /// What is wrong with these arguments, as `path: message`; at most eight lines.
    pub fn violations(&self, arguments: &Value) -> Vec<String> {
        let wrong = |validator: &&jsonschema::Validator| !validator.is_valid(arguments);
        let Some(validator) = self.written.iter().chain([&self.validator]).find(wrong) else {
            return Vec::new();
        };
        let mut found: Vec<String> = validator
            .iter_errors(arguments)
            .take(8)
            .map(|e| {
                let path = e.instance_path().to_string();
                let at = if path.is_empty() { "arguments".to_owned() } else { format!("`{path}`") };
                let message: String = e.to_string().chars().take(300).collect();
                format!("{at}: {message}")
            })
            .collect();
        if found.is_empty() {
            found.push("arguments: do not fit the schema".into());
        }
        found
    }
}
