use serde::Deserialize;
use super::*;
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
#[serde(tag = "t", content = "c")] pub(super) enum Adjacent { A(u8), B { x: u8 }, C, D(u8, u8) }
#[test]
fn adj() {
    for v in [Adjacent::A(1), Adjacent::B{x:2}, Adjacent::C, Adjacent::D(1,2)] {
        let mut b = Vec::new();
        println!("{:?}", Bincode::encode(&v, &mut b));
        println!("{b:?} {:?}", Bincode::decode::<Adjacent>(&b));
    }
}
