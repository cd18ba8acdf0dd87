package main

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/node"
	"github.com/hotstuffd/hotstuffd/store"
)

// mendable makes errors of a store that the operator can mend end with status 2: nothing was touched.
func mendable(err error) error {
	for _, kind := range []error{store.ErrOtherChain, store.ErrNewerFormat, store.ErrReadOnly, store.ErrInUse} {
		if errors.Is(err, kind) {
			return config.Errorf("%w", err)
		}
	}
	return err
}

// looked is a home that a command looks at without changing it.
type looked struct {
	home    string
	dir     string // of its data
	config  config.Config
	genesis *config.Genesis
	secrets *config.Secrets
	store   *store.Store // nil: it cannot be opened
	loss    error        // why
}

// loadHome reads a home.
func loadHome(home string) (*looked, error) {
	if home == "" {
		return nil, config.Errorf("no home: name the node's directory, such as --home testnet/node0")
	}
	cfg, genesis, secrets, err := config.Load(home)
	if err != nil {
		return nil, err
	}
	return &looked{home: home, dir: filepath.Clean(cfg.Path(cfg.Storage.Dir)), config: cfg, genesis: genesis, secrets: secrets}, nil
}

func (l *looked) identity() store.Identity { return node.StoreIdentity(l.genesis, l.secrets.ID) }

// view opens the home's store to look at it. That it has lost something is what the caller tells.
func (l *looked) view() (err error) {
	l.store, err = store.View(l.dir, l.identity(), store.Options{})
	switch {
	case errors.Is(err, store.ErrSafetyLost), errors.Is(err, store.ErrPayloadLost):
		l.loss = err
		return nil
	case errors.Is(err, store.ErrInUse):
		return config.Errorf("%s: a node runs on it: ask the node (hotstuffd status), or stop it first", l.dir)
	case errors.Is(err, fs.ErrPermission):
		return config.Errorf("%w: run as the user that owns it", err)
	}
	return mendable(err)
}

func (l *looked) close() error {
	if l.store == nil {
		return nil
	}
	return l.store.Close()
}

// meter returns one that shows a command's progress, and the log that it writes to.
func (l *looked) meter(stderr io.Writer) (*meter, *slog.Logger) {
	s := newScreen(stderr)
	logger := newLogger(l.config.Log, s)
	return newMeter(s, logger), logger
}
