"""The files that are sent to a builder: walked, filtered, and streamed as a tar."""
