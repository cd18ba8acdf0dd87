package config

import (
	"errors"
	"fmt"
	"strings"
)

// UserError is a fault in what the operator wrote: one line that names the source, the key and the mend. The daemon
// ends with status 2 on it, and with status 1 on any other error, which is the machine's.
type UserError struct {
	line string
	err  error
}

func (e *UserError) Error() string { return e.line }
func (e *UserError) Unwrap() error { return e.err }

// Errorf makes a UserError. What it formats is kept to one line, whatever library wrote parts of it; %w works as in
// fmt.Errorf.
func Errorf(format string, args ...any) *UserError {
	err := fmt.Errorf(format, args...)
	return &UserError{line: OneLine(err.Error()), err: errors.Unwrap(err)}
}

// OneLine joins the lines of text by blanks.
func OneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
