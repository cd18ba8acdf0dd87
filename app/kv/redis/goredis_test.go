package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/hotstuffd/hotstuffd/app/kv/redis"
	goredis "github.com/redis/go-redis/v9"
)

func itoa(n int) string { return strconv.Itoa(n) }

// newClient is a usual Redis client. It does not retry: after an unknown outcome a retry could apply a write twice.
func newClient(t *testing.T, s *redis.Server) *goredis.Client {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: s.Addr().String(), MaxRetries: -1, ClientName: "tests"})
	t.Cleanup(func() { client.Close() })
	return client
}

func TestGoRedis(t *testing.T) {
	s, _ := start(t, defaults())
	client, ctx := newClient(t, s), context.Background()
	check := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, %v; want %v", what, got, err, want)
		}
	}
	pong, err := client.Ping(ctx).Result()
	check("PING", pong, "PONG", err)
	ok, err := client.Set(ctx, "k", "v\r\n\x00", 0).Result()
	check("SET", ok, "OK", err)
	v, err := client.Get(ctx, "k").Result()
	check("GET", v, "v\r\n\x00", err)
	if _, err := client.Get(ctx, "absent").Result(); !errors.Is(err, goredis.Nil) {
		t.Errorf("GET of an absent key: %v", err)
	}
	nx, err := client.SetNX(ctx, "k", "w", 0).Result()
	check("SET NX", nx, false, err)
	n, err := client.IncrBy(ctx, "n", 42).Result()
	check("INCRBY", n, 42, err)
	n, err = client.Decr(ctx, "n").Result()
	check("DECR", n, 41, err)
	check("MSET", "", "", client.MSet(ctx, "a", "1", "b", "2").Err())
	values, err := client.MGet(ctx, "a", "absent", "b").Result()
	check("MGET", values, []any{"1", nil, "2"}, err)
	n, err = client.Append(ctx, "a", "23").Result()
	check("APPEND", n, 3, err)
	swapped, err := client.Do(ctx, "CAS", "a", "123", "4").Int()
	check("CAS", swapped, 1, err)
	old, err := client.GetDel(ctx, "a").Result()
	check("GETDEL", old, "4", err)
	size, err := client.DBSize(ctx).Result()
	check("DBSIZE", size, 3, err)
	name, err := client.ClientGetName(ctx).Result()
	check("CLIENT GETNAME", name, "tests", err)
	commands, err := client.Command(ctx).Result()
	if err != nil || !slices.Equal(commands["mset"].Flags, []string{"write"}) || commands["mset"].StepCount != 2 {
		t.Errorf("COMMAND: %+v, %v", commands["mset"], err)
	}
	setting, err := client.ConfigGet(ctx, "appendonly").Result()
	check("CONFIG GET", setting, map[string]string{"appendonly": "yes"}, err)
	for i := range 500 {
		client.Set(ctx, fmt.Sprint("scan", i), "", 0)
	}
	found := map[string]bool{}
	for iter := client.Scan(ctx, 0, "scan*", 50).Iterator(); iter.Next(ctx); {
		found[iter.Val()] = true
	}
	check("SCAN", len(found), 500, nil)
}

// Many clients at once: no increment is lost, and each client's commands are applied in its order.
func TestConcurrentClients(t *testing.T) {
	s, _ := start(t, defaults())
	client, ctx := newClient(t, s), context.Background()
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for range 20 {
				pipe := client.Pipeline()
				for range 50 {
					pipe.Incr(ctx, "n")
				}
				first := pipe.Incr(ctx, fmt.Sprint("own", i))
				second := pipe.Incr(ctx, fmt.Sprint("own", i))
				if _, err := pipe.Exec(ctx); err != nil || second.Val() != first.Val()+1 {
					t.Errorf("%d then %d, %v", first.Val(), second.Val(), err)
				}
			}
		})
	}
	clients.Wait()
	if n, err := client.Get(ctx, "n").Int(); err != nil || n != 8*20*50 {
		t.Errorf("%d, %v", n, err)
	}
}
