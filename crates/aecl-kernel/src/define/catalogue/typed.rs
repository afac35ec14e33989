//! A typed action: a manifest with everything that is worked out from it once, when the bundle loads.

use super::flow::{Argument, Audience, Class, Intent};
use super::{ActionManifest, Effect, cases, closing, flow, infer, weight};
use crate::base::digest::Digest;
use crate::define::connector::{ConnectorSpec, UnreadableConnector};
use crate::define::isolation::Requirements;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// A manifest with its compiled schema.
pub struct TypedAction {
    /// The manifest.
    pub manifest: ActionManifest,
    /// SHA-256 of the manifest's canonical JSON: which definition was judged.
    pub digest: Digest,
    /// The schema as it is enforced: closed.
    pub schema: Arc<Value>,
    /// The roles of its arguments: what the manifest says, and for the others what names suggest.
    pub roles: Roles,
    /// Whom its effect reaches.
    pub egress: Audience,
    /// The words by which a goal asks for it.
    pub intent: Intent,
    /// What it needs of its cage, if a program carries it out here.
    pub cage: Option<Requirements>,
    /// Its cases, each as an action by itself, in the order of the manifest.
    pub cases: Vec<Arc<TypedAction>>,
    /// Which variant of its entry it is: 0 is the entry itself, 1 its first case.
    pub variant: usize,
    /// For a case, which calls it describes, in words.
    pub when: Option<String>,
    connector: Result<Option<ConnectorSpec>, UnreadableConnector>,
    /// A check for each label of the output that has a pattern.
    patterns: Vec<Option<jsonschema::Validator>>,
    validator: Arc<jsonschema::Validator>,
    /// The schema as it was written, where closing it may have changed more than what is unknown.
    written: Option<Arc<jsonschema::Validator>>,
}

/// The checks of a schema, which an entry and its cases have in common.
#[derive(Clone)]
struct Checked {
    schema: Arc<Value>,
    validator: Arc<jsonschema::Validator>,
    written: Option<Arc<jsonschema::Validator>>,
}

impl Checked {
    fn of(arguments: &Value) -> Result<Self, String> {
        if weight::is_too_heavy(arguments) {
            return Err(format!(
                "`arguments` means more than {} places once its references are followed; write a smaller schema",
                weight::PLACES_MAX
            ));
        }
        let (schema, apart) = closing::closed(arguments);
        if schema.pointer("/type") != Some(&Value::String("object".into())) {
            return Err("`arguments` must be a JSON Schema with `\"type\": \"object\"`".into());
        }
        // The default build of the validator has no way to fetch a remote `$ref`: such a schema fails here.
        let build = |schema: &Value| {
            let options = jsonschema::options().should_validate_formats(true);
            options.build(schema).map(Arc::new).map_err(|e| format!("`arguments`: {e}"))
        };
        let written = if apart { Some(build(arguments)?) } else { None };
        Ok(Self { validator: build(&schema)?, schema: Arc::new(schema), written })
    }
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
            known: Vec::new(),
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
        let checked = Checked::of(&manifest.arguments)?;
        let cases = manifest.cases.iter().enumerate().map(|(i, case)| {
            let names = case.names(manifest.name.as_str());
            let own = Self::variant(case.manifest(&manifest), checked.clone(), &names);
            let own = own.map_err(|e| format!("`cases[{i}]`: {e}"))?;
            // Two cases may say the same, and which calls they are for makes the difference.
            let when = serde_json::to_vec(&case.when).map_err(|e| e.to_string())?;
            let digest = Digest::of_parts("aecl/case/v1", &[own.digest.to_string().as_bytes(), &when]);
            Ok::<_, String>(Arc::new(Self { digest, variant: i + 1, when: Some(case.told()), ..own }))
        });
        let cases = cases.collect::<Result<_, _>>()?;
        let names = [manifest.name.to_string()];
        Ok(Self { cases, ..Self::variant(manifest, checked, &names)? })
    }

    /// One variant of an entry. `names`: as what it would be known if it were a tool by itself.
    fn variant(manifest: ActionManifest, checked: Checked, names: &[String]) -> Result<Self, String> {
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
        let roles = Roles::of(&manifest, &checked.schema);
        let effect = manifest.effect;
        let egress = manifest.egress.unwrap_or_else(|| {
            let classes = || roles.iter().map(|(_, argument)| argument.class);
            let each = names.iter().map(|name| infer::egress(name, effect, classes()));
            each.max().unwrap_or(Audience::External)
        });
        let intent = match manifest.intent.is_empty() {
            true => Intent::any(names.iter().map(|n| infer::intent(n, effect, roles.has(Class::Profile)))),
            false => manifest.intent.clone(),
        };
        let connector = ConnectorSpec::read(&manifest.connector);
        let cage = match &connector {
            Ok(spec) => spec.as_ref().and_then(ConnectorSpec::needs),
            Err(unreadable) => unreadable.needs(),
        };
        let Checked { schema, validator, written } = checked;
        Ok(Self {
            manifest,
            digest,
            schema,
            roles,
            egress,
            intent,
            cage,
            cases: Vec::new(),
            variant: 0,
            when: None,
            connector,
            patterns,
            validator,
            written,
        })
    }

    /// The entry itself, and its cases.
    pub fn variants(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::once(self).chain(&self.cases)
    }

    /// Whether its entry tells calls apart.
    pub fn is_one_of_several(&self) -> bool {
        self.when.is_some() || !self.cases.is_empty()
    }

    /// What kind of change a call of it makes, where its entry has several.
    pub fn kind(&self) -> Option<Effect> {
        self.is_one_of_several().then_some(self.manifest.effect)
    }

    /// Its name, and for a case which calls it describes.
    pub fn called(&self) -> String {
        match &self.when {
            Some(when) => format!("`{}` where {when}", self.manifest.name),
            None => format!("`{}`", self.manifest.name),
        }
    }

    /// The variant that describes a call with these arguments.
    pub fn for_call(self: &Arc<Self>, arguments: &Value) -> &Arc<Self> {
        let described = |case: &cases::CallCase| case.describes(arguments);
        let case = self.manifest.cases.iter().position(described);
        case.and_then(|case| self.cases.get(case)).unwrap_or(self)
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
        let all = self.written.iter().chain([&self.validator]).map(Arc::as_ref);
        let Some(validator) = all.into_iter().find(wrong) else {
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
