//! Pointers that C callers pass, as types. A value of these types exists only as an argument of an exported
//! function, where NVML's contract is that it is null or points to what the type says for the time of the call.

use super::Code;
use std::ffi::{CStr, c_char};

/// Where an answer goes, or a struct that is read and answered in place.
#[repr(transparent)]
#[derive(Debug)]
pub struct Out<T>(*mut T);

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<T> {}

impl<T> Out<T> {
    /// Writes the answer.
    ///
    /// # Errors
    /// The pointer is null.
    pub fn set(self, value: T) -> Result<(), Code> {
        if self.0.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: not null, so by this type's contract it points to a `T` of the caller.
        unsafe { self.0.write(value) };
        Ok(())
    }

    /// Writes one element of the array that the pointer points to.
    ///
    /// # Errors
    /// The pointer is null. The caller has checked `index` against the length that the C caller gave.
    pub fn set_at(self, index: usize, value: T) -> Result<(), Code> {
        if self.0.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: not null, so by this type's contract it points to an array, and `index` is within it.
        unsafe { self.0.add(index).write(value) };
        Ok(())
    }

    /// Writes the answer if the caller wants it.
    pub fn set_if_wanted(self, value: T) {
        if !self.0.is_null() {
            // SAFETY: not null, so by this type's contract it points to a `T` of the caller.
            unsafe { self.0.write(value) };
        }
    }
}

impl<T: Copy> Out<T> {
    /// Reads what the caller put there.
    ///
    /// # Errors
    /// The pointer is null.
    pub fn get(self) -> Result<T, Code> {
        self.get_at(0)
    }

    /// Reads one element of the array; the caller has checked `index`.
    ///
    /// # Errors
    /// The pointer is null.
    pub fn get_at(self, index: usize) -> Result<T, Code> {
        if self.0.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: not null, so by this type's contract it points to initialised values, `index` among them.
        Ok(unsafe { self.0.add(index).read() })
    }

    /// The pointer as one to a struct that begins as `T` does, which the version in it has told.
    #[must_use]
    pub fn as_larger<U>(self) -> Out<U> {
        Out(self.0.cast())
    }
}

impl Out<c_char> {
    /// Writes a NUL-terminated text into a buffer of `length` bytes.
    ///
    /// # Errors
    /// The pointer is null or the buffer too small.
    pub fn text(self, length: u32, text: &str) -> Result<(), Code> {
        if self.0.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        if text.len() >= length as usize {
            return Err(Code::INSUFFICIENT_SIZE);
        }
        // SAFETY: not null, so by this type's contract it points to `length` bytes, more than the text has.
        unsafe {
            self.0.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
            self.0.add(text.len()).write(0);
        }
        Ok(())
    }
}

/// A text of the caller.
#[repr(transparent)]
#[derive(Debug, Clone, Copy)]
pub struct Text(*const c_char);

impl Text {
    /// The text.
    ///
    /// # Errors
    /// The pointer is null or the text not UTF-8.
    pub fn read(&self) -> Result<String, Code> {
        if self.0.is_null() {
            return Err(Code::INVALID_ARGUMENT);
        }
        // SAFETY: not null, so by this type's contract it points to a NUL-terminated text.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str().map(str::to_owned).map_err(|_| Code::INVALID_ARGUMENT)
    }
}

/// A text in the fixed array of a C struct; what does not fit is cut.
#[must_use]
pub fn array<const N: usize>(text: &str) -> [c_char; N] {
    let mut array = [0; N];
    for (place, byte) in array.iter_mut().zip(text.bytes().take(N - 1)) {
        *place = byte as c_char;
    }
    array
}

/// NVML's struct version: size and number.
#[must_use]
pub const fn version<T>(number: u32) -> u32 {
    size_of::<T>() as u32 | number << 24
}
