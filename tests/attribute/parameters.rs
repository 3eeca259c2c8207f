//! Parameters by whatever name: each is part of the key, and the attribute can name each.

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};

#[allow(non_snake_case, reason = "that is the test")]
mod capitals {
    use super::*;

    #[redis_cached]
    fn area(N: u64, M: u64) -> u64 {
        N * M
    }

    #[redis_cached]
    async fn area_later(N: u64, mut M: u64) -> u64 {
        M *= N;
        M
    }

    #[redis_cached(siblings = off)]
    fn area_alone(N: u64, M: u64) -> u64 {
        N * M
    }

    #[redis_cached(stale_while_revalidate = "1s")]
    async fn area_behind(N: u64, M: u64) -> u64 {
        N * M
    }

    struct Db(u64);

    #[redis_cached(skip(DB))]
    fn skipped(DB: &Db, ID: u64) -> u64 {
        DB.0 + ID
    }

    #[redis_cached(cache = CACHE, skip(CACHE))]
    async fn cache(CACHE: &Cache, Id: u64) -> u64 {
        let _ = CACHE;
        Id
    }

    #[redis_cached(batch(ID in IDs), skip(DB))]
    fn batch(DB: &'static Db, IDs: &[u64], X: u64) -> Vec<(u64, u64)> {
        IDs.iter().map(|id| (*id, DB.0 + id + X)).collect()
    }

    #[redis_cached(key = "area:{N}:{M + 1}", group = "height:{H}", tags = "depth:{N}")]
    async fn template(N: u64, M: u64, H: u64) -> u64 {
        N * M * H
    }

    #[test]
    fn are_names_as_any() {
        assert_eq!((area(2, 3), area(10, 10)), (6, 100));
        assert_eq!((area_alone(2, 3), area_alone(10, 10)), (6, 100));
        assert_eq!(area_entry(2, 3).key().unwrap(), "attribute:parameters.capitals.area:2:3");
        assert_eq!((skipped(&Db(1), 2), skipped(&Db(1), 3)), (3, 4));
        assert_eq!(skipped_entry(2).key().unwrap(), "attribute:parameters.capitals.skipped:2");
        static DB: Db = Db(100);
        assert_eq!(batch(&DB, &[1, 2], 5), [(1, 106), (2, 107)]);
        assert_eq!(batch(&DB, &[2, 1], 6), [(2, 108), (1, 107)]);
    }

    #[tokio::test]
    async fn are_names_in_async_functions() {
        assert_eq!((area_later(2, 3).await, area_later(10, 10).await), (6, 100));
        assert_eq!((area_behind(2, 3).await, area_behind(10, 10).await), (6, 100));
        assert_eq!((template(2, 3, 1).await, template(10, 10, 1).await), (6, 100));
        let off = Cache::builder("memory://").unwrap().build();
        assert_eq!((cache(&off, 1).await, cache(&off, 2).await), (1, 2));
        assert_eq!(cache_entry(&off, 1).get().await.unwrap(), Some(1));
    }
}

#[allow(non_snake_case, reason = "that is the test")]
mod other_letters {
    use super::*;

    #[redis_cached]
    fn all(Ä: u64, ß: u64, 名: u64) -> u64 {
        Ä * 100 + ß * 10 + 名
    }

    #[redis_cached(key = "{Ä}:{名}", skip(ß))]
    fn template(Ä: u64, ß: u64, 名: u64) -> u64 {
        Ä * 100 + ß * 10 + 名
    }

    #[test]
    fn are_names_as_any() {
        assert_eq!((all(1, 2, 3), all(2, 2, 3), all(1, 3, 3), all(1, 2, 4)), (123, 223, 133, 124));
        assert_eq!((template(1, 2, 3), template(2, 2, 3), template(1, 2, 4)), (123, 223, 124));
    }
}

mod raw {
    use super::*;

    #[redis_cached(key = "{r#type}:{id}", skip(r#in))]
    fn template(r#type: u64, r#in: u64, r#id: u64) -> u64 {
        r#type + r#in + id
    }

    #[redis_cached(skip(id))]
    fn skipped(r#id: u64, r#match: u64) -> u64 {
        id + r#match
    }

    #[test]
    fn are_names_as_any() {
        assert_eq!((template(1, 1, 1), template(2, 1, 1), template(1, 1, 2)), (3, 4, 4));
        assert_eq!((skipped(1, 1), skipped(5, 1), skipped(1, 2)), (2, 2, 3));
    }
}

#[allow(non_snake_case, reason = "that is the test")]
mod patterns {
    use super::*;

    /// Neither of them is `Serialize`.
    struct Shard;
    struct Path<T>(T);

    #[derive(Serialize, Deserialize)]
    struct Config {
        size: u64,
    }

    #[derive(Serialize)]
    struct Point {
        X: u64,
        Y: u64,
    }

    #[redis_cached]
    fn tuple((N, M): (u64, u64), Path(ID): Path<u64>) -> u64 {
        N * M + ID
    }

    #[redis_cached]
    fn fields(Point { X, Y: Height }: Point, [A, B]: [u64; 2]) -> u64 {
        X * Height + A * B
    }

    #[redis_cached]
    fn either((Ok(N) | Err(N)): Result<u64, u64>, whole @ Point { .. }: Point) -> u64 {
        N + whole.X
    }

    #[redis_cached]
    fn unit_structs(Shard: Shard, (Shard, n): (Shard, u64), Path(Shard): Path<Shard>) -> u64 {
        n
    }

    #[redis_cached(siblings = off)]
    fn unit_structs_alone(Shard: Shard, (Shard, n): (Shard, u64), Path(Shard): Path<Shard>) -> u64 {
        n
    }

    #[redis_cached(key = "{n}", skip(Shard))]
    async fn skipped((Shard, n): (Shard, u64)) -> u64 {
        n
    }

    #[redis_cached(key = "{Config.size}")]
    fn spelled_like_its_type(Config: Config) -> u64 {
        Config.size
    }

    #[test]
    fn their_names_are_part_of_the_key() {
        assert_eq!((tuple((2, 3), Path(1)), tuple((10, 10), Path(1)), tuple((2, 3), Path(2))), (7, 101, 8));
        assert_eq!(tuple_entry((2, 3), Path(1)).key().unwrap(), "attribute:parameters.patterns.tuple:2:3:1");
        let point = |X, Y| Point { X, Y };
        assert_eq!((fields(point(2, 3), [1, 1]), fields(point(2, 4), [1, 1]), fields(point(2, 3), [1, 2])), (7, 9, 8));
        assert_eq!((either(Ok(1), point(1, 1)), either(Err(2), point(1, 1)), either(Ok(1), point(2, 1))), (2, 3, 3));
        assert_eq!((spelled_like_its_type(Config { size: 1 }), spelled_like_its_type(Config { size: 2 })), (1, 2));
    }

    #[tokio::test]
    async fn unit_structs_in_them_are_not() {
        assert_eq!(unit_structs(Shard, (Shard, 1), Path(Shard)), 1);
        assert_eq!(unit_structs(Shard, (Shard, 2), Path(Shard)), 2);
        assert_eq!(
            unit_structs_entry((Shard, 2), Path(Shard)).key().unwrap(),
            "attribute:parameters.patterns.unit_structs:2"
        );
        assert_eq!(unit_structs_alone(Shard, (Shard, 1), Path(Shard)), 1);
        assert_eq!(unit_structs_alone(Shard, (Shard, 2), Path(Shard)), 2);
        assert_eq!((skipped((Shard, 1)).await, skipped((Shard, 2)).await), (1, 2));
    }
}

#[allow(non_snake_case, reason = "that is the test")]
mod made_by_macros {
    use super::*;

    macro_rules! area {
        ($name:ident, $attr:meta, $first:ident, $second:ident) => {
            #[$attr]
            fn $name($first: u64, n: u64, $second: u64) -> u64 {
                $first * 100 + n * 10 + $second
            }
        };
    }
    area!(lower, redis_cached, a, b);
    area!(upper, redis_cached, N, M);
    // Told apart by where they come from alone.
    area!(twins, redis_cached, n, m);

    macro_rules! skipping {
        ($name:ident, $skip:ident, $key:literal) => {
            #[redis_cached(skip($skip))]
            fn $name($skip: u64, id: u64) -> u64 {
                $skip + id
            }
        };
    }
    skipping!(skipped, DB, "{id}");

    #[test]
    fn are_names_as_any() {
        assert_eq!((lower(1, 2, 3), lower(2, 2, 3), lower(1, 3, 3), lower(1, 2, 4)), (123, 223, 133, 124));
        assert_eq!((upper(1, 2, 3), upper(2, 2, 3), upper(1, 3, 3), upper(1, 2, 4)), (123, 223, 133, 124));
        assert_eq!((twins(1, 2, 3), twins(2, 2, 3), twins(1, 3, 3), twins(1, 2, 4)), (123, 223, 133, 124));
        assert_eq!((skipped(1, 1), skipped(2, 1), skipped(1, 2)), (2, 2, 3));
    }
}

mod opaque {
    use super::*;

    trait Shape: Serialize {
        fn area(&self) -> u64;
    }

    /// They serialize alike.
    #[derive(Clone, Serialize)]
    struct Square(u64);
    #[derive(Clone, Serialize)]
    struct Line(u64);

    impl Shape for Square {
        fn area(&self) -> u64 {
            self.0 * self.0
        }
    }
    impl Shape for Line {
        fn area(&self) -> u64 {
            0
        }
    }

    #[redis_cached]
    fn by_value(shape: impl Shape, factor: u64) -> u64 {
        shape.area() * factor
    }

    #[redis_cached]
    async fn by_reference(shape: &(impl Shape + Sync), factor: u64) -> u64 {
        shape.area() * factor
    }

    #[redis_cached]
    fn named<S: Shape>(shape: &S, factor: u64) -> u64 {
        shape.area() * factor
    }

    #[redis_cached(key = "{factor}:{shapes.len()}")]
    fn mentioned(shapes: &[impl Shape], factor: u64) -> u64 {
        shapes.iter().map(Shape::area).sum::<u64>() * factor
    }

    #[redis_cached(batch(factor in factors))]
    fn batch((shape, _): (impl Shape + Clone, u8), factors: &[u64]) -> Vec<(u64, u64)> {
        factors.iter().map(|factor| (*factor, shape.area() * factor)).collect()
    }

    #[redis_cached(siblings = off)]
    async fn alone(shape: impl Shape + Send, factor: u64) -> u64 {
        shape.area() * factor
    }

    #[redis_cached(skip(shape))]
    fn skipped(shape: impl Shape, factor: u64) -> u64 {
        shape.area() * factor
    }

    #[tokio::test]
    async fn types_that_serialize_alike_share_nothing() {
        for _ in 0..2 {
            assert_eq!((by_value(Square(2), 3), by_value(Line(2), 3)), (12, 0));
            assert_eq!((by_reference(&Square(2), 3).await, by_reference(&Line(2), 3).await), (12, 0));
            assert_eq!((named(&Square(2), 3), named(&Line(2), 3)), (12, 0));
            assert_eq!((mentioned(&[Square(2)], 3), mentioned(&[Line(2)], 3)), (12, 0));
            assert_eq!((batch((Square(2), 1), &[3]), batch((Line(2), 1), &[3])), (vec![(3, 12)], vec![(3, 0)]));
            assert_eq!((alone(Square(2), 3).await, alone(Line(2), 3).await), (12, 0));
        }
        assert_eq!((skipped(Square(2), 3), skipped(Line(2), 3)), (12, 12));
    }

    #[tokio::test]
    async fn entries_and_refreshes_know_the_type() {
        assert_eq!(by_value_refresh(Square(3), 3), 27);
        assert_eq!(by_value_entry(Square(3), 3).get().unwrap(), Some(27));
        assert_eq!(by_value_entry(Line(3), 3).get().unwrap(), None);
        let expected =
            |name: &str| format!("attribute:parameters.opaque.{name}<attribute.parameters.opaque.Square>:2:3");
        assert_eq!(by_value_entry(Square(2), 3).key().unwrap(), expected("by_value"));
        assert_eq!(by_reference_entry(&Square(2), 3).key().unwrap(), expected("by_reference"));
        assert_eq!(named_entry(&Square(2), 3).key().unwrap(), expected("named"));
        assert_eq!(skipped_entry(3).key().unwrap(), "attribute:parameters.opaque.skipped:3");
    }
}
