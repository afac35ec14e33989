//! Compiles a module or component, gives it what the order says, and runs it to its end.

use wasmtime::component::{Component, ResourceTable};
use wasmtime::{Config, Engine, Error, Linker, Module, Store, Trap};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::bindings::sync::CommandPre;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::end::End;
use crate::limits::{Limits, Refused};
use crate::order::Order;

/// The runtime's version, as `Cargo.toml` pins it.
pub const WASMTIME: &str = "48.0.8";

/// What the host's functions need of a stack beside the module's.
const HOST_STACK_BYTES: usize = 2 << 20;

/// Runs it to its end.
pub fn run(order: &Order, bytes: &[u8]) -> End {
    match begin(order, bytes) {
        Ok(()) => End::Exited(0),
        Err(end) => end,
    }
}

fn begin(order: &Order, bytes: &[u8]) -> Result<(), End> {
    let engine = engine(order).map_err(|error| End::Order(told(&error)))?;
    let wasi = wasi(order)?;
    if is_component(bytes) {
        component(order, &engine, bytes, wasi)
    } else {
        module(order, &engine, bytes, wasi)
    }
}

fn engine(order: &Order) -> wasmtime::Result<Engine> {
    let stack = usize::try_from(order.stack_max_bytes)?;
    let mut config = Config::new();
    config
        .consume_fuel(order.fuel_max.is_some())
        .max_wasm_stack(stack)
        .async_stack_size(stack.saturating_add(HOST_STACK_BYTES))
        // An image in memory pays off for whoever starts a module twice.
        .memory_init_cow(false);
    Engine::new(&config)
}

/// What the module finds of a system: its streams, arguments, variables and directories.
fn wasi(order: &Order) -> Result<WasiCtxBuilder, End> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio().args(&order.args).allow_blocking_current_thread(true);
    for (name, value) in &order.env {
        wasi.env(name, value);
    }
    // No address is ever allowed, and the cage has no network; this is what a module is told first.
    wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    for shown in &order.dirs {
        let at = shown.at.display().to_string();
        let perms = if shown.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        wasi.preopened_dir(&shown.at, &at, perms)
            .map_err(|error| End::Order(format!("the directory `{at}` cannot be shown: {}", told(&error))))?;
    }
    Ok(wasi)
}

/// Both begin with the same four bytes; the version of a component has another layer.
fn is_component(bytes: &[u8]) -> bool {
    bytes.get(6..8) == Some(&[1, 0])
}

fn module(order: &Order, engine: &Engine, bytes: &[u8], mut wasi: WasiCtxBuilder) -> Result<(), End> {
    let module = Module::from_binary(engine, bytes).map_err(|error| End::Invalid(told(&error)))?;
    let mut linker = Linker::new(engine);
    p1::add_to_linker_sync(&mut linker, |state: &mut State<WasiP1Ctx>| &mut state.wasi)
        .map_err(|error| End::Order(told(&error)))?;
    let ready = linker.instantiate_pre(&module).map_err(|error| End::Import(told(&error)))?;
    let mut store = store(order, engine, wasi.build_p1())?;
    let instance = ready.instantiate(&mut store).map_err(|error| ended(&error, &store))?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").map_err(|_| {
        End::Invalid("it exports no function `_start`, so it is a library and no program".into())
    })?;
    start.call(&mut store, ()).map_err(|error| ended(&error, &store))
}

fn component(order: &Order, engine: &Engine, bytes: &[u8], mut wasi: WasiCtxBuilder) -> Result<(), End> {
    let component = Component::from_binary(engine, bytes).map_err(|error| End::Invalid(told(&error)))?;
    let mut linker = wasmtime::component::Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).map_err(|error| End::Order(told(&error)))?;
    let ready = linker.instantiate_pre(&component).map_err(|error| End::Import(told(&error)))?;
    let ready = CommandPre::new(ready).map_err(|error| {
        End::Invalid(format!(
            "it exports no `wasi:cli/run`, so it is a library and no program: {}",
            told(&error)
        ))
    })?;
    let both = Both { wasi: wasi.build(), table: ResourceTable::new() };
    let mut store = store(order, engine, both)?;
    let command = ready.instantiate(&mut store).map_err(|error| ended(&error, &store))?;
    match command.wasi_cli_run().call_run(&mut store) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(())) => Err(End::Exited(1)),
        Err(error) => Err(ended(&error, &store)),
    }
}

/// What belongs to one run.
struct State<W> {
    wasi: W,
    limits: Limits,
}

/// What a component has of a system.
struct Both {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State<Both> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.wasi, table: &mut self.wasi.table }
    }
}

fn store<W: 'static>(order: &Order, engine: &Engine, wasi: W) -> Result<Store<State<W>>, End> {
    let limits = Limits::new(order.memory_max_bytes, order.table_elements_max);
    let mut store = Store::new(engine, State { wasi, limits });
    store.limiter(|state| &mut state.limits);
    if let Some(fuel) = order.fuel_max {
        store.set_fuel(fuel).map_err(|error| End::Order(told(&error)))?;
    }
    Ok(store)
}

/// Which end an error is.
fn ended<W>(error: &Error, store: &Store<State<W>>) -> End {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return End::exited(exit.0);
    }
    match (error.downcast_ref::<Trap>(), store.data().limits.refused()) {
        (Some(Trap::OutOfFuel), _) => End::Fuel,
        (Some(Trap::StackOverflow), _) => End::Stack,
        (_, Some(Refused::Memory(bytes))) => {
            End::Memory(format!("it was refused memory of {bytes} bytes, and then: {}", told(error)))
        }
        (_, Some(Refused::Table(elements))) => {
            End::Table(format!("it was refused tables of {elements} elements, and then: {}", told(error)))
        }
        _ => End::Trap(told(error)),
    }
}

/// An error with its causes, on one line.
fn told(error: &Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join(": ").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_that_is_told_is_the_one_that_is_built() {
        let built = format!("name = \"wasmtime\"\nversion = \"{}\"", super::WASMTIME);
        assert!(include_str!("../Cargo.lock").contains(&built));
    }
}
