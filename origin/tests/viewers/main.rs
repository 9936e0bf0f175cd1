//! What viewers get from the origin, through its public interface.

mod decide;
mod delivery;
mod directory;
mod dvr;
mod guard;
mod reload;
mod stage;
mod thumbnail;
mod wire;
