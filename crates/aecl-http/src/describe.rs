//! The description of the API: OpenAPI 3.1, generated from the handlers and checked in as
//! `openapi/aecl.json`.

mod limits;

use super::{for_agents, for_people, for_watchers, for_workers, ledger, operations};
use serde_json::{Map, Value, json};
use utoipa::Path as _;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApiBuilder, SecurityRequirement};

const ABOUT: &str = "The Agent Execution Control Layer. Agents propose actions with a run token; people and \
    orchestrators use a key. Errors are RFC 9457 problem details with a stable `code`. A refused proposal is \
    no error: its `state` is `blocked`.";

fn generated() -> Value {
    let mut components = Components::new();
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let info =
        InfoBuilder::new().title("AECL").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT)).build();
    let mut api = OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new::<_, _, String>("bearer", [])]))
        .build();
    for part in [for_agents(), for_people(), for_watchers(), for_workers(), operations()] {
        api.merge(part.into_openapi());
    }
    // Its path has slashes, which the router spells otherwise than OpenAPI.
    type Tile = ledger::__path_tile;
    api.paths.add_path_operation(Tile::path(), Tile::methods(), Tile::operation());
    serde_json::to_value(&api).unwrap_or_default()
}

/// The description as text, as it is checked in.
pub fn openapi_text() -> String {
    let mut api = generated();
    if let Some(schemas) = api.pointer_mut("/components/schemas") {
        limits::add_to_bodies(schemas);
    }
    let paths = api.get_mut("paths").and_then(Value::as_object_mut);
    for (path, methods) in paths.into_iter().flatten() {
        let names: Vec<String> =
            path.split('{').skip(1).filter_map(|s| s.split('}').next()).map(str::to_owned).collect();
        for operation in methods.as_object_mut().into_iter().flat_map(Map::values_mut) {
            complete(operation, &names);
        }
    }
    serde_json::to_string_pretty(&api).unwrap_or_default() + "\n"
}

/// Says what the generator leaves out: names in the path, and a word for every response.
fn complete(operation: &mut Value, names: &[String]) {
    let Some(operation) = operation.as_object_mut() else { return };
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(list) = parameters.as_array_mut() {
        list.iter_mut().filter_map(Value::as_object_mut).for_each(limits::add_to_parameter);
        for name in names.iter().rev() {
            let parameter =
                json!({"name": name, "in": "path", "required": true, "schema": limits::of_path(name)});
            list.insert(0, parameter);
        }
    }
    if parameters == &json!([]) {
        operation.remove("parameters");
    }
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    for (status, response) in responses.into_iter().flatten() {
        let word = match status.as_str() {
            "200" => "As asked.",
            "201" => "It was made.",
            "202" => {
                "It waits for people and nothing was executed (`pending`), or it is underway (`started`)."
            }
            "204" => "It is so.",
            "503" => "Nothing can be recorded, so nothing new is begun.",
            _ => "Refused; `code` says why.",
        };
        if let Some(response) = response.as_object_mut() {
            response.entry("description").or_insert_with(|| json!(word));
        }
    }
}
