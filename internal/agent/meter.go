package agent

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

// meter measures how much of its CPU and memory the container uses, or the machine where there is no limit. It reads
// cgroup v2, else v1, else /proc, all below root.
type meter struct {
	root fs.FS
	now  func() time.Time

	cpu reading // of the sample before
}

// reading is a counter that grows with use, and what it would be if everything was used all the time.
type reading struct {
	from        string // which counter
	used, whole float64
}

// sample gives the use since the sample before, and of memory now, both in percent; NaN where nothing can be measured, as
// on the first sample for the CPU.
func (m *meter) sample() (cpu, memory float64) {
	cpu = math.NaN()
	now, err := m.cpuTime()
	if err == nil {
		if last := m.cpu; last.from == now.from && now.whole > last.whole {
			cpu = min(max(100*(now.used-last.used)/(now.whole-last.whole), 0), 100)
		}
		m.cpu = now
	}
	return cpu, m.memory()
}

// measurable says which of the two can be measured here.
func (m *meter) measurable() (cpu, memory bool) {
	_, err := m.cpuTime()
	return err == nil, !math.IsNaN(m.memory())
}

var errNoLimit = errors.New("there is no limit")

// cpuTime reads how long the CPU was used. Under a limit that is the container's own time against the limit's share of
// the time that passed; without one it is the machine's.
func (m *meter) cpuTime() (reading, error) {
	clock := float64(m.now().UnixNano()) / 1e9
	if used, cores, err := m.cgroup2CPU(); err == nil {
		return reading{"cgroup2", used, clock * cores}, nil
	}
	if used, cores, err := m.cgroup1CPU(); err == nil {
		return reading{"cgroup1", used, clock * cores}, nil
	}
	return m.machineCPU()
}

// cgroup2CPU gives seconds used, and how many cores may be.
func (m *meter) cgroup2CPU() (used, cores float64, err error) {
	limit, err := m.text("sys/fs/cgroup/cpu.max") // "max 100000" or "50000 100000"
	if err != nil {
		return 0, 0, err
	}
	quota, period, _ := strings.Cut(limit, " ")
	q, qErr := strconv.ParseFloat(quota, 64)
	p, pErr := strconv.ParseFloat(period, 64)
	if qErr != nil || pErr != nil || q <= 0 || p <= 0 {
		return 0, 0, errNoLimit
	}
	us, err := m.field("sys/fs/cgroup/cpu.stat", "usage_usec")
	return us / 1e6, q / p, err
}

func (m *meter) cgroup1CPU() (used, cores float64, err error) {
	for _, dir := range []string{"sys/fs/cgroup/cpu,cpuacct/", "sys/fs/cgroup/cpu/"} {
		q, qErr := m.number(dir + "cpu.cfs_quota_us")
		p, pErr := m.number(dir + "cpu.cfs_period_us")
		ns, nsErr := m.number(dir + "cpuacct.usage")
		if qErr == nil && pErr == nil && nsErr == nil && q > 0 && p > 0 { // a quota of -1 is none
			return ns / 1e9, q / p, nil
		}
	}
	return 0, 0, errNoLimit
}

// machineCPU reads /proc/stat: the first line is the time spent as user, nice, system, idle, iowait, irq, softirq, steal.
func (m *meter) machineCPU() (reading, error) {
	text, err := m.text("proc/stat")
	if err != nil {
		return reading{}, err
	}
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 6 || fields[0] != "cpu" {
		return reading{}, fmt.Errorf("proc/stat begins with %q", line)
	}
	r := reading{from: "machine"}
	for i, field := range fields[1:min(len(fields), 9)] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return reading{}, err
		}
		r.whole += n
		if i != 3 && i != 4 {
			r.used += n
		}
	}
	return r, nil
}

// memory is what cannot be given back at once, against the limit; NaN when it cannot be measured.
func (m *meter) memory() float64 {
	for _, in := range []struct{ usage, limit, stat, cache string }{
		{"sys/fs/cgroup/memory.current", "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.stat", "inactive_file"},
		{"sys/fs/cgroup/memory/memory.usage_in_bytes", "sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.stat", "total_inactive_file"},
	} {
		usage, usageErr := m.number(in.usage)
		limit, limitErr := m.number(in.limit)
		const none = 1 << 60 // version 1 writes a huge number where there is no limit
		if usageErr != nil || limitErr != nil || limit <= 0 || limit > none {
			continue
		}
		if cache, err := m.field(in.stat, in.cache); err == nil {
			usage -= cache
		}
		return min(max(100*usage/limit, 0), 100)
	}
	total, totalErr := m.field("proc/meminfo", "MemTotal:")
	free, freeErr := m.field("proc/meminfo", "MemAvailable:")
	if totalErr != nil || freeErr != nil || total <= 0 {
		return math.NaN()
	}
	return min(max(100*(total-free)/total, 0), 100)
}

func (m *meter) text(name string) (string, error) {
	text, err := fs.ReadFile(m.root, name)
	return strings.TrimSpace(string(text)), err
}

func (m *meter) number(name string) (float64, error) {
	text, err := m.text(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(text, 64)
}

// field is the number behind a word at the beginning of a line.
func (m *meter) field(name, word string) (float64, error) {
	text, err := fs.ReadFile(m.root, name)
	if err != nil {
		return 0, err
	}
	for scan := bufio.NewScanner(bytes.NewReader(text)); scan.Scan(); {
		if fields := strings.Fields(scan.Text()); len(fields) >= 2 && fields[0] == word {
			return strconv.ParseFloat(fields[1], 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", name, word)
}

// over says what is above its threshold, or nothing: "CPU at 93 %, threshold 80 %".
func over(cpu float64, cpuThreshold int, memory float64, memoryThreshold int) string {
	var parts []string
	if cpuThreshold > 0 && cpu > float64(cpuThreshold) { // NaN is not
		parts = append(parts, fmt.Sprintf("CPU at %.0f %%, threshold %d %%", cpu, cpuThreshold))
	}
	if memoryThreshold > 0 && memory > float64(memoryThreshold) {
		parts = append(parts, fmt.Sprintf("memory at %.0f %%, threshold %d %%", memory, memoryThreshold))
	}
	return strings.Join(parts, "; ")
}
