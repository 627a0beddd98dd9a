//! The `embargod` program; everything is in the library.

fn main() -> std::process::ExitCode {
    embargod::cli::main()
}
