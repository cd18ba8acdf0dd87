package load

import "time"

// In open loop commands are due at equal distances over all clients, who take them in turns: the n-th of a client is the
// (n*clients+id)-th of all. So when a command is due follows from its number, and nobody keeps a list.

const second = int64(time.Second)

// due is when the n-th command of a client is to be sent, in nanoseconds since the load began.
func (r *run) due(id int, n int64) int64 {
	k, rate := n*int64(r.o.Clients)+int64(id), int64(r.o.Rate)
	return k/rate*second + k%rate*second/rate // k*second would not fit
}

// total is how many commands of a client are due before the end.
func (r *run) total(id int) int64 {
	rate, clients := int64(r.o.Rate), int64(r.o.Clients)
	end := r.recorder.to
	all := end/second*rate + (end%second*rate+second-1)/second
	return max(0, (all-int64(id)+clients-1)/clients)
}

// write sends a client's commands from the n-th on, each when it is due or soon after, until all are sent, the connection
// fails, or the reader, who sees that too, quits.
func (c *client) write(quit <-chan struct{}, n, total int64) {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for n < total {
		now := c.run.now()
		count := 0
		for limit := c.requests.room(); count < limit && n+int64(count) < total && c.due(n+int64(count)) <= now; {
			count++
		}
		if count > 0 {
			if _, err := c.conn.Write(c.requests.fill(count)); err != nil {
				return
			}
			n += int64(count)
			continue
		}
		wait.Reset(max(nap, time.Duration(c.due(n)-now)))
		select {
		case <-wait.C:
		case <-quit:
			return
		}
	}
}
