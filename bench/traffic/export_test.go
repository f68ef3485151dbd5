package traffic

import "time"

// SetTimeout sets the deadline of the commands that follow, in time from the
// moment they are waited for.
func (c *Conn) SetTimeout(d time.Duration) { c.timeout = d }
