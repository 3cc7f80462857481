//! The C interface. Every function here has the name, the arguments and the answers of NVML's.

pub mod arguments;
pub mod devices;
pub mod errors;
pub mod events;
pub mod handles;
pub mod health;
pub mod library;
pub mod metrics;
pub mod mig_compute;
pub mod mig_devices;
pub mod mig_instances;
pub mod processes;

pub use errors::Code;

/// Defines exported functions whose bodies are `Result<(), Code>`.
macro_rules! exported {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        pub extern "C" fn $name($($argument: $type),*) -> nvml_wrapper_sys::bindings::nvmlReturn_t {
            $crate::abi::answer(|| $body)
        }
    )*};
}
pub(crate) use exported;

/// The return code of a body.
fn answer(body: impl FnOnce() -> Result<(), Code>) -> u32 {
    match body() {
        Ok(()) => 0,
        Err(code) => code.0,
    }
}
