//! Compression on the fly: of the application's responses as they are sent, and of files once, when
//! they are read.
//!
//! Streams are compressed on the front's thread, a slice at a time with others' turns in between;
//! what the application has yielded is flushed as soon as nothing more is there, so that nothing is
//! kept back. Where encoders have [`MOST_BYTES`] together, further responses go as they are.

use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use appliance_gateway::Incomplete;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Bytes that are compressed in one turn of the front's thread: about 0.2 ms.
const SLICE: usize = 16 << 10;
/// Bytes that the encoders of a worker may take: some 60 of zstd's, or 250 of gzip's.
const MOST_BYTES: usize = 64 << 20;
static BYTES: AtomicUsize = AtomicUsize::new(0);
/// What one takes, measured.
const COSTS: [(&str, usize); 3] = [("zstd", 1100 << 10), ("br", 520 << 10), ("gzip", 260 << 10)];

/// Files that are compressed at once, in each worker.
const MOST_FILES: usize = 2;
static TURNS: AtomicUsize = AtomicUsize::new(0);

/// For streams: as fast as it gets while it is still worth it.
const STREAM_BROTLI: u32 = 4;
const STREAM_ZSTD: i32 = 3;
const STREAM_GZIP: u32 = 5;
/// For files, each of which is compressed once.
const FILE_BROTLI: u32 = 8;
const FILE_GZIP: u32 = 8;
/// 128 KB of what came before are looked at: memory, for what little more would gain on the web.
const WINDOW_BITS: u32 = 17;

/// One of `Content-Encoding`'s, at work.
enum Encoder {
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// None for a coding that nobody here knows.
    fn for_stream(coding: &str) -> Option<Encoder> {
        Some(match coding {
            "br" => Encoder::brotli(STREAM_BROTLI),
            "zstd" => {
                let mut encoder =
                    zstd::stream::write::Encoder::new(Vec::new(), STREAM_ZSTD).ok()?;
                encoder.window_log(WINDOW_BITS).ok()?;
                Encoder::Zstd(encoder)
            }
            "gzip" => Encoder::gzip(STREAM_GZIP),
            _ => return None,
        })
    }

    fn brotli(quality: u32) -> Encoder {
        let buffer = 4 << 10;
        let writer = brotli::CompressorWriter::new(Vec::new(), buffer, quality, WINDOW_BITS);
        Encoder::Brotli(Box::new(writer))
    }

    fn gzip(level: u32) -> Encoder {
        let level = flate2::Compression::new(level);
        Encoder::Gzip(flate2::write::GzEncoder::new(Vec::new(), level))
    }

    /// Writing to memory does not fail, and neither does an encoder with settings that were taken.
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Encoder::Brotli(encoder) => &mut **encoder,
            Encoder::Zstd(encoder) => encoder,
            Encoder::Gzip(encoder) => encoder,
        }
    }

    fn out(&mut self) -> &mut Vec<u8> {
        match self {
            Encoder::Brotli(encoder) => encoder.get_mut(),
            Encoder::Zstd(encoder) => encoder.get_mut(),
            Encoder::Gzip(encoder) => encoder.get_mut(),
        }
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Encoder::Brotli(encoder) => Ok(encoder.into_inner()),
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::Gzip(encoder) => encoder.finish(),
        }
    }
}

/// One of the few files that are compressed at once.
pub(crate) struct Turn(());

impl Turn {
    pub(crate) fn take() -> Option<Turn> {
        let before = TURNS.fetch_add(1, Relaxed);
        // From here on it gives itself back.
        let turn = Turn(());
        (before < MOST_FILES).then_some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURNS.fetch_sub(1, Relaxed);
    }
}

/// A whole file, compressed; none if that is no gain.
pub(crate) fn compress(bytes: &[u8], coding: &str) -> Option<Vec<u8>> {
    let mut encoder = match coding {
        "br" => Encoder::brotli(FILE_BROTLI),
        "gzip" => Encoder::gzip(FILE_GZIP),
        _ => return None,
    };
    encoder.writer().write_all(bytes).ok()?;
    let compressed = encoder.finish().ok()?;
    // A tenth at least, or it only costs clients their time.
    (compressed.len() < bytes.len() / 10 * 9).then_some(compressed)
}

/// The application's body, compressed if there is an encoder.
pub(crate) struct Encoded<B> {
    body: B,
    work: Option<Box<Work>>,
}

struct Work {
    /// None at the end.
    encoder: Option<Encoder>,
    /// What the application has yielded and the encoder has not seen.
    waiting: Bytes,
    /// The encoder may be keeping something back.
    is_behind: bool,
    _room: Room,
}

/// Memory that an encoder may take, until this is dropped.
struct Room(usize);

impl Room {
    fn take(coding: &str) -> Option<Room> {
        let (_, bytes) = COSTS.iter().find(|(name, _)| *name == coding)?;
        let room = Room(*bytes);
        (BYTES.fetch_add(*bytes, Relaxed) + bytes <= MOST_BYTES).then_some(room)
    }
}

impl<B> Encoded<B> {
    /// As it is.
    pub(crate) fn plain(body: B) -> Encoded<B> {
        Encoded { body, work: None }
    }

    /// Hands the body back where no encoder is to be had.
    pub(crate) fn new(body: B, coding: &str) -> Result<Encoded<B>, B> {
        let Some(room) = Room::take(coding) else {
            return Err(body);
        };
        let Some(encoder) = Encoder::for_stream(coding) else {
            return Err(body);
        };
        let work = Box::new(Work {
            encoder: Some(encoder),
            waiting: Bytes::new(),
            is_behind: false,
            _room: room,
        });
        Ok(Encoded {
            body,
            work: Some(work),
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        BYTES.fetch_sub(self.0, Relaxed);
    }
}

impl<B: Body<Data = Bytes, Error = Incomplete> + Unpin> Body for Encoded<B> {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let Encoded { body, work } = self.get_mut();
        match work {
            None => Pin::new(body).poll_frame(context),
            Some(work) => work.poll(Pin::new(body), context),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.work {
            None => self.body.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

impl Work {
    fn poll<B: Body<Data = Bytes, Error = Incomplete>>(
        &mut self,
        mut body: Pin<&mut B>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        loop {
            let Some(encoder) = &mut self.encoder else {
                return Poll::Ready(None);
            };
            if !self.waiting.is_empty() {
                let slice = self.waiting.split_to(self.waiting.len().min(SLICE));
                if encoder.writer().write_all(&slice).is_err() {
                    return Poll::Ready(Some(Err(Incomplete)));
                }
                self.is_behind = true;
                if encoder.out().len() >= SLICE {
                    return block(std::mem::take(encoder.out()));
                }
                if !self.waiting.is_empty() {
                    // It is others' turn.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            match body.as_mut().poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.waiting = frame.into_data().unwrap_or_default();
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => {
                    let finished = self.encoder.take().map(Encoder::finish);
                    return match finished {
                        Some(Ok(rest)) if rest.is_empty() => Poll::Ready(None),
                        Some(Ok(rest)) => block(rest),
                        _ => Poll::Ready(Some(Err(Incomplete))),
                    };
                }
                Poll::Pending if self.is_behind => {
                    self.is_behind = false;
                    if encoder.writer().flush().is_err() {
                        return Poll::Ready(Some(Err(Incomplete)));
                    }
                    match std::mem::take(encoder.out()) {
                        nothing if nothing.is_empty() => return Poll::Pending,
                        flushed => return block(flushed),
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

fn block(bytes: Vec<u8>) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
    Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::Read;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::task::Waker;

    use super::*;

    /// The tests share what encoders may take.
    static ALONE: Mutex<()> = Mutex::new(());

    /// Blocks, and pauses between them.
    struct Blocks(VecDeque<Option<Result<Bytes, Incomplete>>>);

    impl Body for Blocks {
        type Data = Bytes;
        type Error = Incomplete;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
            match self.0.pop_front() {
                Some(Some(block)) => Poll::Ready(Some(block.map(Frame::data))),
                Some(None) => Poll::Pending,
                None => Poll::Ready(None),
            }
        }
    }

    fn alone() -> MutexGuard<'static, ()> {
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        // What was flushed but not finished ends early: that is what is looked at.
        let _ = match coding {
            "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
            "zstd" => {
                zstd::stream::read::Decoder::new(bytes).and_then(|mut it| it.read_to_end(&mut out))
            }
            _ => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        };
        out
    }

    type Fixed = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

    fn text(bytes: usize) -> Vec<u8> {
        (0..bytes)
            .map(|at| b"abcdefgh \n"[(at * at / 7) % 10])
            .collect()
    }

    #[test]
    fn what_is_yielded_comes_out_and_comes_out_at_once() {
        let _alone = alone();
        for coding in ["br", "zstd", "gzip"] {
            let (first, second) = (text(10), text(100_000));
            let blocks = [
                Some(Ok(Bytes::from(first.clone()))),
                None,
                Some(Ok(Bytes::from(second.clone()))),
                Some(Ok(Bytes::new())),
                None,
            ];
            let mut body = Encoded::new(Blocks(blocks.into()), coding)
                .ok()
                .expect("an encoder");
            let mut context = Context::from_waker(Waker::noop());
            let (mut sent, mut pauses, mut seen) = (Vec::new(), 0, Vec::new());
            while let poll = Pin::new(&mut body).poll_frame(&mut context)
                && !matches!(poll, Poll::Ready(None))
            {
                match poll {
                    Poll::Ready(Some(frame)) => {
                        sent.extend_from_slice(
                            &frame.expect("no error").into_data().expect("data"),
                        );
                        if pauses == 0 {
                            seen = decoded(coding, &sent);
                        }
                    }
                    _ => pauses += 1,
                }
                assert!(pauses < 1000);
            }
            assert_eq!(seen, first, "{coding}");
            assert_eq!(decoded(coding, &sent), [first, second].concat(), "{coding}");
        }
    }

    #[test]
    fn encoders_have_so_much_memory_and_give_it_back() {
        let _alone = alone();
        let encode = |_| Encoded::new(Blocks(VecDeque::new()), "zstd").ok();
        for _ in 0..2 {
            let all: Vec<_> = (0..1000).map_while(encode).collect();
            assert_eq!(all.len(), MOST_BYTES / (1100 << 10));
            assert!(Encoded::new(Blocks(VecDeque::new()), "none").is_err());
        }
    }

    #[test]
    fn a_body_that_is_cut_stays_cut() {
        let _alone = alone();
        let blocks = [Some(Ok(Bytes::from_static(b"a"))), Some(Err(Incomplete))];
        let mut body = Encoded::new(Blocks(blocks.into()), "gzip")
            .ok()
            .expect("an encoder");
        let mut context = Context::from_waker(Waker::noop());
        let poll = Pin::new(&mut body).poll_frame(&mut context);
        assert!(matches!(poll, Poll::Ready(Some(Err(Incomplete)))));
    }

    #[test]
    fn files_are_compressed_if_that_is_a_gain() {
        let page = text(20_000);
        let noise: Vec<u8> = (0_u64..2500)
            .flat_map(|number| {
                std::hash::BuildHasher::hash_one(&Fixed::default(), number).to_ne_bytes()
            })
            .collect();
        for coding in ["br", "gzip"] {
            let small = compress(&page, coding).expect("a gain");
            assert!(small.len() < page.len() / 2, "{coding} {}", small.len());
            assert_eq!(decoded(coding, &small), page);
            assert_eq!(compress(&noise, coding), None, "{coding}");
        }
        assert_eq!(compress(&page, "deflate"), None);
    }
}
