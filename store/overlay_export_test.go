package store

// NewOverlay gives tests what View opens a store on.
func NewOverlay() FS { return newOverlay() }
