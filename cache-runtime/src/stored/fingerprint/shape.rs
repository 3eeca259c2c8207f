//! The shape of a type, as a graph: the requests that its `Deserialize` makes.

use crate::stored::source::Form;

/// The index of a node.
pub(super) type Id = usize;

/// The node of requests that belong to no part.
pub(super) const NOWHERE: Id = 0;

/// The node of the elements of bytes.
pub(super) const BYTE: Id = 1;

/// The node of a text that is not read: the name that `#[serde(tag = "…")]` gives to a struct.
pub(super) const TAG: Id = 2;

/// The requests for one part of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// None was seen.
    Unseen,
    /// Different ones were seen, or one that accepts any value.
    Any,
    /// The type refuses before it makes one, or the part is nested deeper than was looked.
    Never,
    Scalar(Scalar),
    Unit,
    Option(Id),
    Seq(Id),
    Map(Id, Id),
    Tuple(Vec<Id>),
    TupleStruct(Vec<Id>),
    Struct(Fields),
    Enum(Variants),
    /// The content of a newtype variant.
    Newtype(Id),
    /// The requests are those of another node.
    Same(Id),
    /// The name is another one for the field in front of it, whose node this is.
    Alias(Id),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) names: &'static [&'static str],
    pub(super) nodes: Vec<Id>,
    /// The names that were refused before the value was requested: as duplicates of a field that has several names.
    pub(super) is_alias: Vec<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variants {
    pub(super) names: &'static [&'static str],
    pub(super) contents: Vec<Id>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Str,
    Bytes,
}

/// The shape of a type. No node of it changes any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    nodes: Box<[Node]>,
    root: Id,
}

impl Shape {
    /// Returns true if every part was seen. A format without names can then store the type.
    pub(crate) fn is_complete(&self) -> bool {
        self.nodes[BYTE..].iter().all(|node| !matches!(node, Node::Unseen | Node::Any | Node::Same(NOWHERE)))
    }

    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// A node and its index, through the nodes that only refer to it.
    pub(super) fn node(&self, mut id: Id) -> (Id, &Node) {
        for _ in 0..self.nodes.len() {
            match self.nodes[id] {
                Node::Same(other) | Node::Alias(other) => id = other,
                _ => return (id, &self.nodes[id]),
            }
        }
        (NOWHERE, &Node::Any)
    }
}

/// A shape that is being found.
pub(super) struct Draft {
    nodes: Vec<Node>,
    /// The node of the part that is read next.
    pub(super) hole: Id,
    /// The node of the part after it, which is the value of a map's entry.
    pub(super) then: Id,
    /// The field whose name was offered and whose value was not requested.
    pub(super) offered: Option<(Id, usize)>,
}

/// The names of a type are the same for each run, and may be thousands.
fn is_same(names: &'static [&'static str], others: &'static [&'static str]) -> bool {
    std::ptr::eq(names, others) || names == others
}

impl Draft {
    pub(super) fn new() -> Draft {
        Draft {
            nodes: vec![Node::Any, Node::Scalar(Scalar::U8), Node::Scalar(Scalar::Str)],
            hole: NOWHERE,
            then: NOWHERE,
            offered: None,
        }
    }

    pub(super) fn fresh(&mut self) -> Id {
        self.nodes.push(Node::Unseen);
        self.nodes.len() - 1
    }

    fn several(&mut self, count: usize) -> Vec<Id> {
        (0..count).map(|_| self.fresh()).collect()
    }

    /// Notes the request for a part. If another one was seen, the part is any value.
    pub(super) fn put(&mut self, id: Id, node: Node) {
        if id == NOWHERE {
            return;
        }
        match &mut self.nodes[id] {
            place @ (Node::Unseen | Node::Never) => *place = node,
            same if *same == node => {}
            different => *different = Node::Any,
        }
    }

    pub(super) fn any(&mut self) {
        if self.hole != NOWHERE {
            self.nodes[self.hole] = Node::Any;
        }
    }

    /// The part is not looked at.
    pub(super) fn never(&mut self) {
        if matches!(self.nodes[self.hole], Node::Unseen) {
            self.nodes[self.hole] = Node::Never;
        }
    }

    /// Notes the request for a compound, and returns its node. `is_equal` tells whether a node is that of an equal request.
    fn compound(&mut self, is_equal: impl Fn(&Node) -> bool, make: impl FnOnce(&mut Draft) -> Node) -> Id {
        let id = self.hole;
        if id == NOWHERE || is_equal(&self.nodes[id]) {
            return id;
        }
        if !matches!(self.nodes[id], Node::Unseen | Node::Never) {
            self.nodes[id] = Node::Any;
            return NOWHERE;
        }
        self.nodes[id] = make(self);
        id
    }

    /// An option. The next part is the value in it.
    pub(super) fn option(&mut self) {
        let id = self.compound(|node| matches!(node, Node::Option(_)), |draft| Node::Option(draft.fresh()));
        self.hole = if let Node::Option(inner) = self.nodes[id] { inner } else { NOWHERE };
    }

    pub(super) fn seq(&mut self) -> Id {
        self.compound(|node| matches!(node, Node::Seq(_)), |draft| Node::Seq(draft.fresh()))
    }

    pub(super) fn map(&mut self) -> Id {
        self.compound(|node| matches!(node, Node::Map(..)), |draft| Node::Map(draft.fresh(), draft.fresh()))
    }

    pub(super) fn tuple(&mut self, len: usize) -> Id {
        self.compound(
            |node| matches!(node, Node::Tuple(parts) if parts.len() == len),
            |draft| Node::Tuple(draft.several(len)),
        )
    }

    pub(super) fn tuple_struct(&mut self, len: usize) -> Id {
        self.compound(
            |node| matches!(node, Node::TupleStruct(parts) if parts.len() == len),
            |draft| Node::TupleStruct(draft.several(len)),
        )
    }

    pub(super) fn fields(&mut self, names: &'static [&'static str]) -> Id {
        self.compound(
            |node| matches!(node, Node::Struct(fields) if is_same(fields.names, names)),
            |draft| {
                let nodes = draft.several(names.len());
                Node::Struct(Fields { names, nodes, is_alias: vec![false; names.len()] })
            },
        )
    }

    /// The next part is this field of a struct.
    pub(super) fn field(&mut self, id: Id, slot: usize) {
        self.hole = if let Node::Struct(fields) = &self.nodes[id] { fields.nodes[slot] } else { NOWHERE };
        self.offered = Some((id, slot));
    }

    /// The run ended. If a name was offered last, it was refused.
    pub(super) fn stopped(&mut self) {
        if let Some((id, slot)) = self.offered.take()
            && let Node::Struct(fields) = &mut self.nodes[id]
        {
            fields.is_alias[slot] = true;
        }
    }

    /// An enum whose variant at `index` is offered. Unless its content is requested, the type refuses the variant.
    pub(super) fn variants(&mut self, names: &'static [&'static str], index: usize) -> Id {
        let id = self.compound(
            |node| matches!(node, Node::Enum(variants) if is_same(variants.names, names)),
            |draft| Node::Enum(Variants { names, contents: draft.several(names.len()) }),
        );
        self.hole = NOWHERE;
        if let Node::Enum(variants) = &self.nodes[id]
            && let Some(&content) = variants.contents.get(index)
        {
            self.put_if_unseen(content, Node::Never);
        }
        id
    }

    /// The content of a variant is the next part.
    pub(super) fn content(&mut self, id: Id, index: usize, form: Form) {
        let Node::Enum(variants) = &self.nodes[id] else { return };
        let content = variants.contents[index];
        if self.nodes[content] == Node::Never {
            self.nodes[content] = Node::Unseen;
        }
        self.hole = content;
        match form {
            Form::Unit => self.put(content, Node::Unit),
            Form::Newtype => {
                let id = self.compound(|node| matches!(node, Node::Newtype(_)), |draft| Node::Newtype(draft.fresh()));
                self.hole = if let Node::Newtype(inner) = self.nodes[id] { inner } else { NOWHERE };
            }
            Form::Tuple | Form::Struct => {}
        }
    }

    /// The next part is the element of a compound at `index`, or the key of its next entry.
    pub(super) fn element(&mut self, id: Id, index: usize) {
        self.then = NOWHERE;
        self.hole = match &self.nodes[id] {
            Node::Seq(element) => *element,
            Node::Map(key, value) => {
                self.then = *value;
                *key
            }
            Node::Tuple(parts) | Node::TupleStruct(parts) => parts.get(index).copied().unwrap_or(NOWHERE),
            Node::Struct(fields) => fields.nodes.get(index).copied().unwrap_or(NOWHERE),
            _ => NOWHERE,
        };
    }

    /// A value was made of a compound of which the parts from `index` on were not requested.
    pub(super) fn ended(&mut self, id: Id, index: usize) {
        let parts = match &self.nodes[id] {
            Node::Tuple(parts) | Node::TupleStruct(parts) => parts.get(index..).unwrap_or_default().to_vec(),
            _ => return,
        };
        for part in parts {
            self.put_if_unseen(part, Node::Never);
        }
    }

    fn put_if_unseen(&mut self, id: Id, node: Node) {
        if self.nodes[id] == Node::Unseen {
            self.nodes[id] = node;
        }
    }

    pub(super) fn finish(mut self, root: Id) -> Shape {
        for id in 0..self.nodes.len() {
            let Node::Struct(fields) = &self.nodes[id] else { continue };
            let pairs = fields.nodes.windows(2).zip(fields.is_alias.iter().skip(1));
            let aliases: Vec<_> =
                pairs.filter(|(_, is_alias)| **is_alias).map(|(pair, _)| (pair[0], pair[1])).collect();
            for (field, alias) in aliases {
                self.put_if_unseen(alias, Node::Alias(field));
            }
        }
        Shape { nodes: self.nodes.into(), root }
    }
}
