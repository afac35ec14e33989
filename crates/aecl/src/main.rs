//! The binary.

fn main() -> std::process::ExitCode {
    aecl::cli::main()
}
