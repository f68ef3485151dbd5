package deflate

import "math/bits"

const (
	maxBits  = 15 // of a code
	fastBits = 9  // codes up to so long are found by one look
)

// code decodes one Huffman code (RFC 1951, 3.2.2).
type code struct {
	// fast has, for each value of the next fastBits bits, the symbol and its code's
	// length as symbol<<4|length; 0: no code is so short.
	fast [1 << fastBits]uint16
	// count and symbols are the canonical code: how many codes there are of each
	// length, and their symbols in order.
	count   [maxBits + 1]uint16
	symbols [288]uint16
}

// init makes the code of the lengths of all symbols' codes, 0 for none. It
// refuses lengths that make no code. A code must be complete, but for one with
// less than two symbols if that is allowed: distances may have such.
func (c *code) init(lengths []uint8, incomplete bool) bool {
	*c = code{}
	for _, n := range lengths {
		c.count[n]++
	}
	used := len(lengths) - int(c.count[0])
	c.count[0] = 0
	left := 1
	for n := 1; n <= maxBits; n++ {
		if left = left<<1 - int(c.count[n]); left < 0 {
			return false // over-subscribed
		}
	}
	if left > 0 && (!incomplete || used > 1 || used == 1 && c.count[1] == 0) {
		return false
	}
	var first, place [maxBits + 2]int // code and place among symbols of the first of each length
	for n := 1; n <= maxBits; n++ {
		first[n+1] = (first[n] + int(c.count[n])) << 1
		place[n+1] = place[n] + int(c.count[n])
	}
	next, at := first, place
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		c.symbols[at[n]] = uint16(symbol)
		at[n]++
		if n <= fastBits {
			// Codes come with their highest bit first, all else with the lowest.
			reversed := int(bits.Reverse16(uint16(next[n])) >> (16 - n))
			for i := reversed; i < len(c.fast); i += 1 << n {
				c.fast[i] = uint16(symbol)<<4 | uint16(n)
			}
		}
		next[n]++
	}
	return true
}

// Outcomes of a look for a symbol.
const (
	needBits = -1 // more bits must come first
	noSymbol = -2 // no symbol has a code that begins so
)

// decode looks for the symbol whose code the lowest of nb bits of b are, and
// returns how long it is. It uses no bit beyond the code.
func (c *code) decode(b uint64, nb uint) (symbol int, n uint) {
	if e := c.fast[b&(1<<fastBits-1)]; e != 0 {
		if n := uint(e & 15); n <= nb {
			return int(e >> 4), n
		}
		return needBits, 0
	}
	value, first, place := 0, 0, 0
	for n := uint(1); n <= maxBits; n++ {
		if n > nb {
			return needBits, 0
		}
		value = value<<1 | int(b>>(n-1)&1)
		count := int(c.count[n])
		if value-first < count {
			return int(c.symbols[place+value-first]), n
		}
		first, place = (first+count)<<1, place+count
	}
	return noSymbol, 0
}
