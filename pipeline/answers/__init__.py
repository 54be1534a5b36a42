r"""What an answer says, read and compared without computer algebra.

Light and pure: no process, no library beyond the standard one, no input that makes it slow. The grader asks `compare`
first; what comes back undecided, as two texts, is algebra and goes to Math-Verify. The rooms, in the order of reading:

- `signs`: Unicode, full-width and LaTeX layout written one way;
- `unboxed`: where a response without a box states its answer;
- `numbers`: exact numbers of any size;
- `notation`: times, dates, numerals with a base, options, words, orders of letters, chess: no algebra;
- `quantities`: numbers with words and units around them;
- `reading`: which of these kinds a text is;
- `compare`: whether two readings agree, and which golds are none;
- `algebra`: how the rest is written for Math-Verify.
"""
