package report

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Machine is what figures depend on beside the code.
type Machine struct {
	// CPU is the processor's name, Cores how many there are.
	CPU   string
	Cores int
	// GOMAXPROCS is that of this process; servers choose their own.
	GOMAXPROCS int
	// OS is the system with its kernel, Go the version that built this process.
	OS, Go string
	// FileSystem is that of the data, SyncsPerSecond how often it syncs 4 KiB, one
	// after the other; 0 if not measured.
	FileSystem     string
	SyncsPerSecond float64
}

// ThisMachine describes the machine; what can't be found out stays empty.
func ThisMachine() Machine {
	m := Machine{
		Cores: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
		OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.OS += " " + strings.TrimSpace(string(release))
	}
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for sc := bufio.NewScanner(f); sc.Scan(); {
			if name, ok := strings.CutPrefix(sc.Text(), "model name"); ok {
				m.CPU = strings.TrimLeft(name, "\t :")
				break
			}
		}
	}
	return m
}

// MeasureDisk notes the file system of dir and how fast it syncs.
func (m *Machine) MeasureDisk(ctx context.Context, dir string) error {
	m.FileSystem = fileSystem(dir)
	rate, err := syncRate(ctx, dir)
	if err != nil {
		return fmt.Errorf("report: disk: %w", err)
	}
	m.SyncsPerSecond = rate
	return nil
}

// syncRate appends 4 KiB and syncs, for a second at most.
func syncRate(ctx context.Context, dir string) (float64, error) {
	f, err := os.CreateTemp(dir, "sync-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4096)
	start := time.Now()
	n := 0
	for time.Since(start) < time.Second && ctx.Err() == nil {
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(start).Seconds(), ctx.Err()
}

// fileSystem returns the type of the file system that holds dir: that of the
// longest mount point above it. Empty if the system doesn't tell.
func fileSystem(dir string) string {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return ""
	}
	f, err := os.Open("/proc/mounts")
	if err != nil {
		return ""
	}
	defer f.Close()
	longest, kind := 0, ""
	for sc := bufio.NewScanner(f); sc.Scan(); {
		fields := strings.Fields(sc.Text())
		if len(fields) < 3 {
			continue
		}
		at := fields[1]
		inside := at == "/" || dir == at || strings.HasPrefix(dir, at+"/")
		if inside && len(at) >= longest {
			longest, kind = len(at), fields[2]
		}
	}
	return kind
}

func (m *Machine) lines() []string {
	cpu := m.CPU
	if cpu == "" {
		cpu = "unknown processor"
	}
	lines := []string{
		fmt.Sprintf("%s, %d cores shared by servers and load generator; load generator's GOMAXPROCS %d", cpu, m.Cores, m.GOMAXPROCS),
		fmt.Sprintf("%s, %s", m.OS, m.Go),
	}
	if m.SyncsPerSecond > 0 {
		lines = append(lines, fmt.Sprintf("%s, %s writes of 4 KiB with fsync a second, one after the other", m.FileSystem, number(m.SyncsPerSecond)))
	}
	return lines
}
