package load

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// errNoMemory says that the system doesn't tell of other processes' memory.
var errNoMemory = errors.New("load: memory of processes is known on Linux only")

// memoryOf returns the proportional set size of processes in octets: resident
// memory, with pages that several processes share counted once in all. Sums of
// plain RSS would count the code of a process-per-connection server again for
// each. Processes that have ended count nothing.
func memoryOf(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		n, err := proportional(pid)
		switch {
		case errors.Is(err, os.ErrNotExist):
			if _, err := os.Stat("/proc/self/smaps_rollup"); err != nil {
				return 0, errNoMemory
			}
		case err != nil && strings.Contains(err.Error(), "no such process"):
		case err != nil:
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func proportional(pid int) (int64, error) {
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		fields := strings.Fields(sc.Text())
		if len(fields) == 3 && fields[0] == "Pss:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	if err := sc.Err(); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("load: process %d: no Pss", pid)
}

// processTree returns pid and all processes below it.
func processTree(pid int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return nil, errors.Join(errNoMemory, err)
	}
	children := make(map[int][]int)
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		child, parent, ok := parseStat(string(data))
		if ok {
			children[parent] = append(children[parent], child)
		}
	}
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// parseStat reads "pid (name) state ppid …"; the name may hold anything.
func parseStat(s string) (pid, parent int, ok bool) {
	open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 0 || end < open {
		return 0, 0, false
	}
	fields := strings.Fields(s[end+1:])
	if len(fields) < 2 {
		return 0, 0, false
	}
	pid, err1 := strconv.Atoi(strings.TrimSpace(s[:open]))
	parent, err2 := strconv.Atoi(fields[1])
	return pid, parent, err1 == nil && err2 == nil
}

// watchPeak begins to watch the resident memory of the target's processes; the
// returned function tells the highest of each since then. It tells nothing where
// the system doesn't.
func (e *Env) watchPeak() func() string {
	if e.Target.Processes == nil {
		return func() string { return "" }
	}
	processes := e.Target.Processes()
	before := make(map[string]int64)
	for name, pid := range processes {
		// 5 sets the high-water mark to what is resident now (proc(5)).
		err := os.WriteFile(filepath.Join("/proc", strconv.Itoa(pid), "clear_refs"), []byte("5"), 0)
		if hwm, err2 := statusField(pid, "VmHWM:"); err == nil && err2 == nil {
			before[name] = hwm
		}
	}
	return func() string {
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(before)) {
			if peak, err := statusField(processes[name], "VmHWM:"); err == nil {
				parts = append(parts, fmt.Sprintf("%s %d → %d MiB", name, before[name]>>20, peak>>20))
			}
		}
		if parts == nil {
			return ""
		}
		return "memory before and at its peak: " + strings.Join(parts, ", ")
	}
}

// statusField reads a size from a process's status.
func statusField(pid int, field string) (int64, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == field {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("load: process %d: no %s", pid, field)
}
