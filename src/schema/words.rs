//! Enums of the vocabulary as values of columns.

use crate::model::EventKind;
use crate::model::log::{Gravity, LineKind, Meaning, ProfilerStep, StartupStep};

/// Makes an enum with a `const` name for each variant (`as_str`) a value of columns and of the machine output.
macro_rules! words_of {
    ($($name:ident { $($variant:ident)+ })+) => {$(
        impl $crate::schema::Value for $name {
            const KIND: $crate::schema::Kind =
                $crate::schema::Kind::Word(&[$($name::$variant.as_str(),)+]);

            fn put(&self, to: &mut $crate::schema::Values) {
                let all = [$($name::$variant,)+];
                if let $crate::schema::Values::Word(values, _) = to {
                    let at = all.iter().position(|one| one == self);
                    values.push(at.and_then(|at| u8::try_from(at).ok()));
                }
            }
        }

        impl $crate::schema::Carry for $name {
            fn shape(to: &mut String) {
                *to += "word";
            }

            fn give(&self, to: &mut Vec<i64>, texts: &mut $crate::schema::TextList) {
                to.push(texts.place(self.as_str()));
            }

            fn take(from: &mut $crate::schema::Taken<'_>) -> Option<Self> {
                let word = <String as $crate::schema::Carry>::take(from)?;
                let all = [$($name::$variant,)+];
                all.into_iter().find(|one| one.as_str() == word)
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )+};
}

pub(crate) use words_of;

words_of! {
    EventKind { CpuOp UserAnnotation PythonFunction Runtime Driver Overhead Kernel Memcpy Memset GpuUserAnnotation CudaSync CudaEvent CollectiveComm Window Async DeviceMark Derived Other }
    Gravity { Warning Error Critical }
    LineKind { Recognized Ignored Unknown }
    Meaning { SumOfRequests WallTime }
    ProfilerStep { Enabled StartRequested Started LimitReached StopRequested Stopped TraceWritten ShutDown Http TableTotal Complaint }
    StartupStep { EngineInit LoadStarted WeightsLoaded ModelLoaded WarmupStarted WarmupDone Compiled GraphsCaptured CacheSized EngineReady WorkerReady StageReady Ready }
}
