mod admin;
mod declared;
mod document;
mod predicted;
mod tracked;
mod units;
mod world;
