package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hotstuffd/hotstuffd/api/server"
)

// answerBytesMax bounds an answer that is read whole.
const answerBytesMax = 1 << 20

// defaultHTTP is where the first node of a testnet answers.
const defaultHTTP = "127.0.0.1:7002"

// nodes asks nodes over HTTP. It never goes through a proxy: they are on this machine or a private network.
var nodes = &http.Client{Transport: &http.Transport{Proxy: nil, ResponseHeaderTimeout: time.Minute}}

// ask begins a request to the node at address. The caller closes the answer.
// Expected errors: the node cannot be reached, or refuses; both name the address.
func ask(ctx context.Context, address, path string, parameters url.Values) (io.ReadCloser, error) {
	target := url.URL{Scheme: "http", Host: strings.TrimPrefix(address, "http://"), Path: path, RawQuery: parameters.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("node at %s: %w", address, err)
	}
	response, err := nodes.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot reach a node: %w: does it run, and is this its http.listen?", err)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		reason, _ := io.ReadAll(io.LimitReader(response.Body, 200))
		return nil, fmt.Errorf("node at %s answers %s: %s", address, response.Status, reason)
	}
	return response.Body, nil
}

// askStatus returns a node's status, as it sent it and decoded. With a height it waits for it, but only so long that the
// caller must look at what it got.
func askStatus(ctx context.Context, address string, height string) (raw []byte, s server.Status, err error) {
	parameters := url.Values{}
	if height != "" {
		parameters.Set("height", height)
	}
	body, err := ask(ctx, address, "/status", parameters)
	if err != nil {
		return nil, s, err
	}
	defer body.Close()
	if raw, err = io.ReadAll(io.LimitReader(body, answerBytesMax)); err != nil {
		return nil, s, fmt.Errorf("node at %s: %w", address, err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, s, fmt.Errorf("node at %s: not a status: %w", address, err)
	}
	return raw, s, nil
}
