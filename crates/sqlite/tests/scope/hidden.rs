//! What is hidden is answered as what is absent (T40, I-52).
