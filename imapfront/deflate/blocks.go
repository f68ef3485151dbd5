package deflate

// tables are the codes of a compressed block, and what they are made from.
type tables struct {
	symbols, distances code
	lengths            [286 + 32]uint8
	have               int // of lengths
	lit, dist, clen    int // how many codes there are of each
}

// header reads the beginning of a block (RFC 1951, 3.2.3).
func (r *Reader) header() progress {
	if r.last {
		// Blocks end within an octet; the data at its end.
		r.drop(r.nbits & 7)
		return ended
	}
	if r.nbits < 3 {
		return wantBits
	}
	r.last = r.take(1) == 1
	switch r.take(2) {
	case 0:
		r.drop(r.nbits & 7)
		r.step = (*Reader).storedLength
	case 1:
		r.tables = fixedTables
		r.step = (*Reader).symbols
	case 2:
		r.tables = new(tables)
		r.step = (*Reader).counts
	default:
		return malformed
	}
	return goOn
}

// endBlock lets go what only the block needs.
func (r *Reader) endBlock() progress {
	r.tables = nil
	r.step = (*Reader).header
	return goOn
}

// storedLength begins a block that is not compressed (3.2.4).
func (r *Reader) storedLength() progress {
	if r.nbits < 32 {
		return wantBits
	}
	n := r.take(16)
	if r.take(16) != n^0xffff {
		return malformed
	}
	r.left = n
	r.step = (*Reader).stored
	if n == 0 {
		r.endBlock()
		if r.ending {
			return ended // a flush
		}
	}
	return goOn
}

// stored passes its octets on.
func (r *Reader) stored() progress {
	for r.left > 0 && r.room() {
		switch {
		case r.nbits >= 8:
			r.put(byte(r.take(8)))
		case len(r.in) > 0:
			r.put(r.in[0])
			r.in = r.in[1:]
		default:
			return wantBits
		}
		r.left--
	}
	if r.left == 0 {
		return r.endBlock()
	}
	return goOn
}

// counts begins a block with codes of its own (3.2.7).
func (r *Reader) counts() progress {
	if r.nbits < 14 {
		return wantBits
	}
	t := r.tables
	t.lit, t.dist, t.clen = r.take(5)+257, r.take(5)+1, r.take(4)+4
	if t.lit > 286 || t.dist > 30 {
		return malformed
	}
	r.step = (*Reader).lengthCode
	return goOn
}

// order is that of the lengths of the code of code lengths.
var order = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// lengthCode reads the code that the code lengths are in.
func (r *Reader) lengthCode() progress {
	t := r.tables
	for ; t.have < t.clen; t.have++ {
		if r.nbits < 3 {
			return wantBits
		}
		t.lengths[order[t.have]] = uint8(r.take(3))
	}
	if !t.distances.init(t.lengths[:19], false) {
		return malformed
	}
	t.lengths, t.have = [len(t.lengths)]uint8{}, 0
	r.step = (*Reader).lengths
	return goOn
}

// lengths reads the code lengths of both codes.
func (r *Reader) lengths() progress {
	t := r.tables
	for t.have < t.lit+t.dist {
		symbol, n := t.distances.decode(r.bits, r.nbits)
		if symbol == needBits {
			return wantBits
		}
		if symbol == noSymbol {
			return malformed
		}
		if symbol < 16 {
			r.drop(n)
			t.lengths[t.have] = uint8(symbol)
			t.have++
			continue
		}
		extra, base, value := uint(2), 3, uint8(0)
		switch {
		case symbol == 16 && t.have == 0:
			return malformed
		case symbol == 16:
			value = t.lengths[t.have-1]
		case symbol == 17:
			extra = 3
		case symbol == 18:
			extra, base = 7, 11
		}
		if r.nbits < n+extra {
			return wantBits
		}
		r.drop(n)
		repeat := base + r.take(extra)
		if t.have+repeat > t.lit+t.dist {
			return malformed
		}
		for range repeat {
			t.lengths[t.have] = value
			t.have++
		}
	}
	if t.lengths[256] == 0 || !t.symbols.init(t.lengths[:t.lit], false) || !t.distances.init(t.lengths[t.lit:t.lit+t.dist], true) {
		return malformed
	}
	r.step = (*Reader).symbols
	return goOn
}

// symbols decodes literals and matches (3.2.5). A match's length and distance are
// taken together, of at most 48 bits, or not at all.
func (r *Reader) symbols() progress {
	for r.room() {
		if r.length > 0 {
			r.copyMatch()
			continue
		}
		if r.nbits < 48 && len(r.in) > 0 {
			return goOn // to get more of what is there
		}
		symbol, n := r.tables.symbols.decode(r.bits, r.nbits)
		switch {
		case symbol == needBits:
			return wantBits
		case symbol == noSymbol || symbol > 285:
			return malformed
		case symbol < 256:
			r.drop(n)
			r.put(byte(symbol))
			continue
		case symbol == 256:
			r.drop(n)
			return r.endBlock()
		}
		base, extra := lengthBase[symbol-257], uint(lengthExtra[symbol-257])
		if p := r.match(n, int(base), extra); p != goOn {
			return p
		}
	}
	return goOn
}

// match begins a match whose length's code has n bits.
func (r *Reader) match(n uint, base int, extra uint) progress {
	if r.nbits < n+extra {
		return wantBits
	}
	length := base + int(r.bits>>n&(1<<extra-1))
	n += extra
	symbol, m := r.tables.distances.decode(r.bits>>n, r.nbits-n)
	switch {
	case symbol == needBits:
		return wantBits
	case symbol < 0 || symbol > 29:
		return malformed
	}
	n += m
	dist := symbol + 1
	if symbol >= 4 {
		extra := uint(symbol)/2 - 1
		if r.nbits < n+extra {
			return wantBits
		}
		dist = (2+symbol&1)<<extra + 1 + int(r.bits>>n&(1<<extra-1))
		n += extra
	}
	if uint64(dist) > r.at {
		return malformed
	}
	r.drop(n)
	r.length, r.dist = length, dist
	return goOn
}

// copyMatch hands out what a match refers to.
func (r *Reader) copyMatch() {
	for r.length > 0 && r.room() {
		r.put(r.hist[(r.at-uint64(r.dist))&uint64(len(r.hist)-1)])
		r.length--
	}
}

var (
	lengthBase = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}

	lengthExtra = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}

	// fixedTables are those of 3.2.6; nothing changes them.
	fixedTables = newFixedTables()
)

func newFixedTables() *tables {
	t := new(tables)
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	t.symbols.init(lengths[:], false)
	for i := range 32 {
		lengths[i] = 5
	}
	t.distances.init(lengths[:32], false)
	return t
}
