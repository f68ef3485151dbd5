package transcript

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net"
)

// compress has the server compress from now on (RFC 4978).
func (c *conn) compress() error {
	if err := c.command("compress deflate"); err != nil {
		return err
	}
	if n := c.r.Buffered(); n > 0 {
		return fmt.Errorf("%d octets after the answer to COMPRESS", n)
	}
	raw := bufio.NewReader(c.net)
	w, err := flate.NewWriter(c.net, flate.BestCompression)
	if err != nil {
		return err
	}
	c.net = &compressed{Conn: c.net, raw: raw, r: flate.NewReader(raw), w: w}
	c.r = bufio.NewReader(c.net)
	return nil
}

// compressed is a connection through COMPRESS, until UNAUTHENTICATE ends it (RFC
// 8437, 4.1).
type compressed struct {
	net.Conn
	raw *bufio.Reader
	r   io.Reader     // nil: not compressed any more
	w   *flate.Writer // the same
}

func (c *compressed) Read(p []byte) (int, error) {
	if c.r == nil {
		return c.raw.Read(p)
	}
	n, err := c.r.Read(p)
	switch {
	case err == io.EOF: // the data are ended, the connection is not
		c.r, err = nil, nil
		if n == 0 {
			return c.raw.Read(p)
		}
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = io.EOF // the connection is closed
	}
	return n, err
}

func (c *compressed) Write(p []byte) (int, error) {
	if c.w == nil {
		return c.Conn.Write(p)
	}
	n, err := c.w.Write(p)
	if err != nil {
		return n, err
	}
	if bytes.HasSuffix(bytes.ToLower(p), []byte(" unauthenticate\r\n")) {
		err = c.w.Close()
		c.w = nil
		return n, err
	}
	return n, c.w.Flush()
}
