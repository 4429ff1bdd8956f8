//! The `blackstart` program.

fn main() -> blackstart::exit_code::ExitCode {
    // One provider of TLS for probes and control planes alike; that one is chosen already is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    blackstart::cli::main()
}
