// Package pacemaker says how long a view may last and who leads it.
//
// Pacemaker holds the present view and its timers: the deadline, which depends on whether there is work to do; the
// exponential backoff behind it, which decays on progress; the moment at which work is shown to the leader again; the
// idle leader's heartbeat; and the pacing of views under load. Schedule.Leader is the leader function, a function of the
// view and of the block's own branch alone. Timeouts collects the timeouts of the present view.
//
// The package never signs, sends or verifies, and it has no clock: every method that needs the time is told it, in
// qc.Ticks.
//
// Start with Pacemaker.Enter and Pacemaker.Deadline.
package pacemaker
