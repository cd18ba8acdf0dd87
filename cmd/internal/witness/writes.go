package witness

import (
	"context"
	"fmt"
	"strconv"

	goredis "github.com/redis/go-redis/v9"
)

// Writes are keys that one client writes, each once: Name:0, Name:1 and so on, whose values are their numbers. It belongs to
// one goroutine at a time.
type Writes struct {
	Name         string
	acknowledged []bool // by number
}

// Send writes the next keys in one pipeline, and returns how many of these were acknowledged. A write without an answer is
// not sent again: its number is used up.
// Expected errors: ErrNotApplied, ErrUnknown; of the first write that has one.
func (w *Writes) Send(ctx context.Context, client *goredis.Client, count int) (acknowledged int, err error) {
	from := len(w.acknowledged)
	pipe := client.Pipeline()
	replies := make([]*goredis.StatusCmd, count)
	for i := range replies {
		replies[i] = pipe.Set(ctx, w.key(from+i), from+i, 0)
	}
	_, _ = pipe.Exec(ctx) // what is wrong stands in the replies
	for _, r := range replies {
		failed := judge(r.Err())
		w.acknowledged = append(w.acknowledged, failed == nil)
		if failed == nil {
			acknowledged++
		} else if err == nil {
			err = failed
		}
	}
	return acknowledged, err
}

// Len returns how many were sent. They are numbered from 0.
func (w *Writes) Len() int { return len(w.acknowledged) }

// Acknowledged returns how many of these were.
func (w *Writes) Acknowledged() (count int) {
	for _, a := range w.acknowledged {
		if a {
			count++
		}
	}
	return count
}

// readMax is how many values are asked for at once.
const readMax = 500

// Check reads all writes from number from up, and returns an error if one that was acknowledged is not there, or one holds
// what was never written. count is how many acknowledged ones are there.
// Expected errors: ErrNotApplied, ErrUnknown, when they cannot be read.
func (w *Writes) Check(ctx context.Context, client *goredis.Client, from int) (count int, err error) {
	for ; from < len(w.acknowledged); from += readMax {
		keys := make([]string, min(readMax, len(w.acknowledged)-from))
		for i := range keys {
			keys[i] = w.key(from + i)
		}
		values, err := client.MGet(ctx, keys...).Result()
		if err := judge(err); err != nil {
			return count, err
		}
		n, err := w.compare(from, values)
		count += n
		if err != nil {
			return count, err
		}
	}
	return count, nil
}

// compare compares what stands in the keys from a number up with what was written there.
func (w *Writes) compare(from int, values []any) (count int, err error) {
	for i, v := range values {
		number := from + i
		switch {
		case v == nil && w.acknowledged[number]:
			return count, fmt.Errorf("%s was acknowledged, and is not there", w.key(number))
		case v != nil && v != strconv.Itoa(number):
			return count, fmt.Errorf("%s holds %v, which was never written there", w.key(number), v)
		case w.acknowledged[number]:
			count++
		}
	}
	return count, nil
}

func (w *Writes) key(number int) string { return w.Name + ":" + strconv.Itoa(number) }
