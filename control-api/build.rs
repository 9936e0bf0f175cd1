//! Rebuilds when a migration changes, as `sqlx::migrate!` embeds them.

fn main() {
    #[allow(clippy::print_stdout)] // the way to speak to cargo
    {
        println!("cargo:rerun-if-changed=../schema/migrations");
    }
}
