//! Messages between stages as bytes: a request with its tensors, or the end.
//!
//! A host-side format between processes of one capture, not a file format. It must not touch rings or devices.

use tch::{Kind, Tensor};

const MAGIC: u32 = 0x4f54_5731; // "OTW1"
const REQUEST: u8 = 0;
const END: u8 = 1;
/// Most dimensions of a tensor on the wire.
const MAX_DIMS: u8 = 16;

/// What one stage tells the next.
#[derive(Debug)]
pub enum Message {
    /// Work.
    Request(Request),
    /// Nothing more will come.
    End,
}

/// A request on its way through the pipeline.
#[derive(Debug)]
pub struct Request {
    /// Its name, the same in every stage.
    pub id: String,
    /// When the sender began to send, in nanoseconds since the Unix epoch.
    pub sent_unix_ns: u64,
    /// What is handed over, on the host.
    pub tensors: Vec<Tensor>,
}

/// Bytes that are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a message between stages is damaged: {0}")]
pub struct WireError(&'static str);

/// The kinds that travel, with their code.
const KINDS: [(Kind, u8); 8] = [
    (Kind::Uint8, 0),
    (Kind::Int, 3),
    (Kind::Int64, 4),
    (Kind::Half, 5),
    (Kind::Float, 6),
    (Kind::Double, 7),
    (Kind::Bool, 11),
    (Kind::BFloat16, 15),
];

/// The message as bytes. Tensors must be on the host.
pub fn encode(message: &Message) -> Result<Vec<u8>, WireError> {
    let mut bytes = MAGIC.to_le_bytes().to_vec();
    let request = match message {
        Message::End => {
            bytes.push(END);
            return Ok(bytes);
        }
        Message::Request(request) => request,
    };
    bytes.push(REQUEST);
    bytes.extend(request.sent_unix_ns.to_le_bytes());
    bytes.extend((request.id.len() as u32).to_le_bytes());
    bytes.extend(request.id.as_bytes());
    bytes.extend((request.tensors.len() as u32).to_le_bytes());
    for tensor in &request.tensors {
        encode_tensor(tensor, &mut bytes)?;
    }
    Ok(bytes)
}

fn encode_tensor(tensor: &Tensor, bytes: &mut Vec<u8>) -> Result<(), WireError> {
    let tensor = tensor.contiguous();
    let kind = tensor.kind();
    let code = KINDS.iter().find(|(k, _)| *k == kind).ok_or(WireError("kind cannot travel"))?.1;
    let dims = tensor.size();
    let n_dims = u8::try_from(dims.len()).map_err(|_| WireError("too many dimensions"))?;
    if n_dims > MAX_DIMS {
        return Err(WireError("too many dimensions"));
    }
    bytes.extend([code, n_dims]);
    for dim in dims {
        bytes.extend(dim.to_le_bytes());
    }
    let numel = tensor.numel();
    let len = numel * kind.elt_size_in_bytes();
    let start = bytes.len();
    bytes.resize(start + len, 0);
    if len > 0 {
        tensor.copy_data_u8(&mut bytes[start..], numel);
    }
    Ok(())
}

/// The message in the bytes.
pub fn decode(bytes: &[u8]) -> Result<Message, WireError> {
    let mut at = Cursor { bytes };
    if at.u32()? != MAGIC {
        return Err(WireError("wrong magic"));
    }
    match at.take(1)?[0] {
        END => return Ok(Message::End),
        REQUEST => {}
        _ => return Err(WireError("unknown kind")),
    }
    let sent_unix_ns = at.u64()?;
    let len = at.u32()? as usize;
    let id = std::str::from_utf8(at.take(len)?).map_err(|_| WireError("name is not UTF-8"))?;
    let n = at.u32()?;
    let tensors = (0..n).map(|_| decode_tensor(&mut at)).collect::<Result<_, _>>()?;
    Ok(Message::Request(Request { id: id.to_owned(), sent_unix_ns, tensors }))
}

fn decode_tensor(at: &mut Cursor<'_>) -> Result<Tensor, WireError> {
    let [code, n_dims] = *at.take(2)? else { return Err(WireError("cut short")) };
    let kind = KINDS.iter().find(|(_, c)| *c == code).ok_or(WireError("unknown tensor kind"))?.0;
    if n_dims > MAX_DIMS {
        return Err(WireError("too many dimensions"));
    }
    let dims: Vec<i64> =
        (0..n_dims).map(|_| at.u64().map(u64::cast_signed)).collect::<Result<_, _>>()?;
    let len = dims
        .iter()
        .try_fold(kind.elt_size_in_bytes(), |len, dim| len.checked_mul(usize::try_from(*dim).ok()?))
        .ok_or(WireError("impossible size"))?;
    Ok(Tensor::from_data_size(at.take(len)?, &dims, kind))
}

struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(WireError("cut short"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, WireError> {
        let bytes = self.take(4)?.try_into().map_err(|_| WireError("cut short"))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64, WireError> {
        let bytes = self.take(8)?.try_into().map_err(|_| WireError("cut short"))?;
        Ok(u64::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn requests_and_ends_survive_the_way() {
        let tensors = vec![
            Tensor::arange(6, (Kind::Int64, Device::Cpu)).view([2, 3]),
            Tensor::ones([3], (Kind::BFloat16, Device::Cpu)),
            Tensor::zeros([0], (Kind::Float, Device::Cpu)),
        ];
        let sent = Message::Request(Request { id: "0_a".into(), sent_unix_ns: 7, tensors });
        let bytes = encode(&sent).unwrap();
        let Message::Request(got) = decode(&bytes).unwrap() else { panic!("a request") };
        assert_eq!((got.id.as_str(), got.sent_unix_ns, got.tensors.len()), ("0_a", 7, 3));
        assert_eq!(got.tensors[0].size(), [2, 3]);
        assert_eq!(got.tensors[0].int64_value(&[1, 2]), 5);
        assert_eq!(got.tensors[1].kind(), Kind::BFloat16);
        assert!(matches!(decode(&encode(&Message::End).unwrap()), Ok(Message::End)));
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
