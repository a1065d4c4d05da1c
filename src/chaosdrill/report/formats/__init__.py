"""The formats that a document can be written in; none of them computes or words a fact."""
