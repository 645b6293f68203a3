mod admin;
mod conversions;
mod declared;
mod document;
mod predicted;
mod tracked;
mod units;
mod world;
